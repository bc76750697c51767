"""What policies say of metrics: that of `SCOPE/APP/METRIC` before `SCOPE/APP` before `SCOPE`."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from schemas.registrations import PolicySelected

T = TypeVar("T")
_MOST_KEPT = 10_000
"""Metrics whose choices are kept: their names may never end."""


class Scoped(Generic[T]):
    """Choices by application and metric, out of one state of the catalogue.

    `read` gives what a policy chooses, or why it cannot be heeded.
    """

    def __init__(
        self,
        policies: Mapping[str, PolicySelected],
        scope: str,
        read: Callable[[PolicySelected], T | str],
    ) -> None:
        self._scope = scope
        self._found: dict[tuple[str, str], T | None] = {}
        self._read: dict[str, T] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        """Why policies are not heeded, with their scopes, by their event ids."""
        for name in sorted(policies):
            if name.split("/")[0] == scope:
                said = read(policies[name])
                if isinstance(said, str):
                    self.refused[policies[name].event_id] = (name, said)
                else:
                    self._read[name] = said

    def of(self, app: str, metric: str) -> T | None:
        """Return what is chosen for a metric of an application; None where nothing is."""
        if (app, metric) not in self._found:
            scopes = (f"{self._scope}/{app}/{metric}", f"{self._scope}/{app}", self._scope)
            if len(self._found) >= _MOST_KEPT:
                self._found.clear()
            said = (self._read.get(name) for name in scopes)
            self._found[app, metric] = next((one for one in said if one is not None), None)
        return self._found[app, metric]

    def alone(self, app: str, metric: str) -> T | None:
        """Return what the policy for this metric by itself chooses; None where there is none."""
        return self._read.get(f"{self._scope}/{app}/{metric}")
