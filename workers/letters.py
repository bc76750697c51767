"""Dead letters as cases: what was refused by whom, and what people have done about it. Pure.

Several readers of a topic refuse one message, each with a letter of the same id: that is one case.
A deed is an action on weir.actions whose target names the case.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from schemas.codec import MAGIC, PREFIX
from schemas.decisions import ActionTaken, DeadLetter
from schemas.identity import stable_id
from schemas.records import KeyValue
from workers.errors import RecoveryRefused

TARGET = "deadletter/"
RETRIED, DISCARDED = "deadletter.retried", "deadletter.discarded"
OPEN = "open"
STATES = (OPEN, "retried", "discarded")
SHORTEST_ID = 6
Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done about a case, for which of those who had refused; `at_ms` since the epoch.

    `copy` is where a retry put the message.
    """

    kind: str
    processors: frozenset[str]
    at_ms: int
    reason: str
    copy: Place | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A message that was refused. `letters` holds one per processor that refused it, oldest first.

    `again` is the case that a retry of this one ended in.
    """

    letters: tuple[DeadLetter, ...]
    deeds: tuple[Deed, ...] = ()
    again: str = ""

    @property
    def letter(self) -> DeadLetter:
        """The first of its letters."""
        return self.letters[0]

    @property
    def id(self) -> str:
        """The id of its letters."""
        return self.letter.event_id

    @property
    def place(self) -> Place:
        """Where the message stood."""
        return self.letter.topic, self.letter.partition, self.letter.offset

    @property
    def refused_by(self) -> tuple[str, ...]:
        """Who refused it."""
        return tuple(sorted({letter.processor for letter in self.letters}))

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Who refused it and has seen nothing done about it since."""
        settled = {name for deed in self.deeds for name in deed.processors}
        return tuple(name for name in self.refused_by if name not in settled)

    @property
    def state(self) -> str:
        """One of STATES: open while somebody is unsettled, else what was done last."""
        if self.unsettled or not self.deeds:
            return OPEN
        return "retried" if self.deeds[-1].kind == RETRIED else "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which cases somebody asks for; what is empty asks for all. `since_ms` is of the refusal."""

    topic: str = ""
    kind: str = ""
    since_ms: int = 0
    states: Sequence[str] = field(default=STATES)

    def takes(self, case: Case) -> bool:
        """Return whether a case is asked for."""
        letter = case.letter
        return (
            self.topic in ("", letter.topic)
            and self.kind in ("", letter.error)
            and letter.detected_at >= self.since_ms
            and case.state in self.states
        )


def cases_of(letters: Iterable[DeadLetter], actions: Iterable[ActionTaken]) -> list[Case]:
    """Return the cases, the newest refusal first; a letter told twice counts once."""
    refused: dict[str, dict[str, DeadLetter]] = {}
    for letter in letters:
        refused.setdefault(letter.event_id, {}).setdefault(letter.processor, letter)
    deeds: dict[str, dict[str, Deed]] = {}
    for action in actions:
        if action.kind in (RETRIED, DISCARDED):
            about = action.target.removeprefix(TARGET)
            deeds.setdefault(about, {}).setdefault(action.event_id, _deed(action))
    at = {_place(next(iter(found.values()))): key for key, found in refused.items()}
    made = [
        _case(tuple(found.values()), tuple(deeds.get(key, {}).values()), at)
        for key, found in refused.items()
    ]
    return sorted(made, key=lambda case: (-case.letter.detected_at, case.place))


def _case(letters: tuple[DeadLetter, ...], deeds: tuple[Deed, ...], at: dict[Place, str]) -> Case:
    copies = [at[deed.copy] for deed in deeds if deed.copy in at]
    return Case(letters, deeds, copies[-1] if copies else "")


def _place(letter: DeadLetter) -> Place:
    return letter.topic, letter.partition, letter.offset


def _deed(action: ActionTaken) -> Deed:
    told = {entry.key: entry.value for entry in action.parameters}
    copy = None
    if "offset" in told:
        copy = (told["topic"], int(told["partition"]), int(told["offset"]))
    names = frozenset(name for name in told.get("processors", "").split(",") if name)
    return Deed(action.kind, names, action.taken_at, action.reason, copy)


def find(cases: Sequence[Case], start: str) -> Case:
    """Return the case whose id begins so, six characters at least.

    Raises RecoveryRefused when there is none, or more than one.
    """
    if len(start) < SHORTEST_ID:
        raise RecoveryRefused(f"{start!r} is too short for an id; give {SHORTEST_ID} characters")
    found = [case for case in cases if case.id.startswith(start)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RecoveryRefused(f"{start!r} begins {len(found)} ids; give more characters")
    raise RecoveryRefused(f"no dead letter {start!r}; see `weir deadletters list --all`")


def keeps_whole(letter: DeadLetter) -> bool:
    """Return whether a letter holds the very bytes of the message, so that the log is not needed.

    One of a message that had been decoded holds the event's body alone.
    """
    if letter.length != len(letter.payload):
        return False
    if hashlib.sha256(letter.payload).hexdigest() != letter.sha256:
        return False
    return letter.error == "not-framed" or letter.payload[:1] == bytes([MAGIC])


def is_original(letter: DeadLetter, value: bytes | None) -> bool:
    """Return whether the message that stands in a letter's place is the one that it tells of."""
    payload = value or b""
    sums = {hashlib.sha256(part).hexdigest() for part in (payload, payload[PREFIX.size :])}
    return letter.sha256 in sums


def retried(case: Case, processors: Sequence[str], copy: Place, now_ms: int) -> ActionTaken:
    """Return the event that says that a message was sent again, for these, and where it stands."""
    topic, partition, offset = copy
    return _action(
        case,
        RETRIED,
        processors,
        f"sent again for {', '.join(processors)}; the copy stands at {topic}/{partition}/{offset}",
        now_ms,
        topic=topic,
        partition=str(partition),
        offset=str(offset),
    )


def discarded(case: Case, reason: str, now_ms: int) -> ActionTaken:
    """Return the event that says that nothing is to be done about a case any more."""
    return _action(case, DISCARDED, case.refused_by, reason, now_ms)


def _action(
    case: Case, kind: str, processors: Sequence[str], reason: str, now_ms: int, **more: str
) -> ActionTaken:
    details = {"processors": ",".join(processors)} | more
    return ActionTaken(
        event_id=stable_id(kind, case.id, len(case.deeds), *details.values()),
        target=TARGET + case.id,
        kind=kind,
        status="done",
        policy="",
        reason=reason,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in details.items()),
        taken_at=now_ms,
        causes=(case.id,),
    )
