"""Drifts as people ask for them: the events of one, from its warning to its cause, together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.observing import DriftDetected
from streams.errors import RegistrationError

DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Story:
    """What was told of one drift, in the order in which it was; the last says how it stands."""

    told: tuple[DriftDetected, ...]

    @property
    def newest(self) -> DriftDetected:
        """The event that says most: the explanation, or else what there is."""
        return self.told[-1]

    @property
    def first(self) -> DriftDetected:
        """The event that told it first."""
        return self.told[0]


def stories(events: Iterable[object]) -> list[Story]:
    """Return the stories of what a topic holds, the oldest first; repeated events count once.

    An event belongs to that of the same series which it names first among its causes.
    """
    found: dict[str, list[DriftDetected]] = {}
    home: dict[str, str] = {}
    drifts = {one.event_id: one for one in events if isinstance(one, DriftDetected)}
    for one in sorted(drifts.values(), key=lambda each: (each.detected_at, _rank(each.status))):
        before = one.causes[0] if one.causes else ""
        own = home.get(before, one.event_id)
        home[one.event_id] = own
        found.setdefault(own, []).append(one)
    return [Story(tuple(told)) for told in found.values()]


def _rank(status: str) -> int:
    return {"warning": 0, "explained": 2}.get(status, 1)


def chosen(known: Sequence[Story], start: str) -> Story:
    """Return the story of which an event has an id that begins so, the newest for an empty text.

    Raises RegistrationError when there is none, or more than one.
    """
    if not start and known:
        return known[-1]
    fitting = [
        story for story in known if any(one.event_id.startswith(start) for one in story.told)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise RegistrationError(f"{len(fitting)} drifts have ids that begin with {start!r}")
    raise RegistrationError(f"no drift {start!r}; `weir drifts list --all` shows which there are")
