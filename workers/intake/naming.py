"""Who a foreign measurement is about, and what it is called: attributes and labels to our names.

Pure. Names of attributes are told apart by their letters alone: `service.name` of OpenTelemetry
and `service_name` of Prometheus are one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.identity import stable_id

MAX_TEXT = 256
"""Longest name of anything, characters."""
MAX_LABELS = 512
"""Longest text of the labels in the name of a metric, characters."""
REQUEST = "weir_request_id"
"""The attribute that says on which request something was measured."""
_NAMELESS = "unknown_service"
"""What OpenTelemetry's libraries call a service that nobody named."""


@dataclass(frozen=True, slots=True)
class Who:
    """Application, stage, service, instance and node; empty where it is not told."""

    app: str
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """Which attributes say who: names in canonical form, the best first.

    `app` is the application of what names none, nor a service. `kept` says which other labels
    stand in the names of metrics; None for all.
    """

    app_from: tuple[str, ...]
    stage_from: tuple[str, ...]
    service_from: tuple[str, ...]
    instance_from: tuple[str, ...]
    node_from: tuple[str, ...]
    app: str = ""
    kept: frozenset[str] | None = None

    @property
    def telling(self) -> frozenset[str]:
        """Every attribute that says who, or on which request."""
        lists = (self.app_from, self.stage_from, self.service_from, self.instance_from)
        return frozenset((*(name for names in lists for name in names), *self.node_from, REQUEST))


def canonical(name: str) -> str:
    """Return the name of an attribute as `Names` has it."""
    return name.replace(".", "_")


def listed(text: str) -> tuple[str, ...]:
    """Return the canonical names in a comma-separated list."""
    return tuple(canonical(part.strip()) for part in text.split(",") if part.strip())


def text(given: object, most: int = MAX_TEXT) -> str:
    """Return anything as text that UTF-8 can carry, of at most so many characters."""
    cut = str(given)[:most]
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode("utf-8")


def who(names: Names, attributes: Mapping[str, str]) -> Who | None:
    """Return who is meant by attributes under canonical names; None when no application is.

    Without an application the configured one counts, and without that the service is one.
    """
    service = _first(names.service_from, attributes)
    app = _first(names.app_from, attributes) or names.app or service
    if not app:
        return None
    stage = _first(names.stage_from, attributes)
    instance = _first(names.instance_from, attributes)
    return Who(app, stage, service, instance, _first(names.node_from, attributes))


def _first(names: Iterable[str], attributes: Mapping[str, str]) -> str:
    for name in names:
        value = attributes.get(name, "")
        if value and not value.startswith(_NAMELESS):
            return text(value)
    return ""


def digest(labels: Iterable[tuple[str, str]]) -> str:
    """Return 32 digits that tell labels apart, in whatever order they come and however long."""
    return stable_id(*(part for label in sorted(labels) for part in label))


def labelled(names: Names, attributes: Mapping[str, str], telling: frozenset[str]) -> str | None:
    """Return what is to stand behind the name of a metric, as in `latency{route="/a"}`.

    Labels come in the order of their names. None when they are too long for a name.
    """
    kept = names.kept
    left = sorted(
        (name, value)
        for name, value in attributes.items()
        if canonical(name) not in telling and (kept is None or canonical(name) in kept)
    )
    if not left:
        return ""
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in left)
    return f"{{{text(written, MAX_LABELS)}}}" if len(written) <= MAX_LABELS else None


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
