"""What is wrong with a graph: where, what, and what to do."""

from dataclasses import dataclass

KINDS = ("ensemble", "cascade", "split", "preprocess")
"""What a stage may be; an empty kind is the first."""
ROLES = ("active", "canary", "shadow")
"""What a service of a splitting stage may be for a request."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake at a place such as `stages[2].inputs[0]`; a `mild` one refuses nothing."""

    where: str
    what: str
    remedy: str
    mild: bool = False

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.where}: {self.what}; {self.remedy}"
