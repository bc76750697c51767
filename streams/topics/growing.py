"""More partitions for topics in use, as a drain: a key then lives elsewhere, and its state with it.

Topics that are joined grow together. First nothing may come any more, and everything that came
must have been applied, by the sink too: after the growth an old record stands where its key does
not belong any more, and readers would pass over it. Then the processors stop, the topics grow, and
saved states are shared out by key. What is interrupted goes on where it stood when it is called
again; a processor that is started too early refuses its state and says why.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from schemas.codec import Codec
from schemas.processing import Spec
from schemas.topics import topic_named
from streams import topology
from streams.topics.growing_sink import unstored
from streams.topics.table import joined
from workers.errors import RecoveryRefused
from workers.kafka import ends as kafka_ends
from workers.kafka import groups as kafka_groups
from workers.kafka import growing as kafka_growing
from workers.kafka.groups import Place
from workers.settings import Settings
from workers.snapshots import keeping as snapshots
from workers.snapshots.care import Mended, migrate, read_saved

QUIET_S = 2.0
LOOK_S = 0.5
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """How long to wait for each step, s; what may be lost; whether the sink is left aside."""

    timeout_s: float = 900.0
    accept_loss: bool = False
    without_sink: bool = False
    quiet_s: float = QUIET_S


@dataclass(frozen=True, slots=True)
class Growth:
    """Topics that grow together, their partitions now, and how many they are to have.

    `readers` are the specifications, for the present partitions, of what keeps state by their keys.
    """

    before: Mapping[str, int]
    after: int
    readers: tuple[Spec, ...]

    @property
    def needed(self) -> bool:
        """Whether a topic has fewer partitions than it is to have."""
        return any(count < self.after for count in self.before.values())


def planned(names: Sequence[str], after: int, counts: Mapping[str, int]) -> Growth:
    """Return what is to grow; `counts` has the partitions of every topic.

    Raises RecoveryRefused where that cannot be, UnknownContract for a topic that is none.
    """
    rows = [topic_named(name) for name in names]
    for row in rows:
        if row.partitions == 1:
            raise RecoveryRefused(
                f"{row.name} is read by one process: it has one partition for good"
            )
    together = sorted({name for row in rows for name in joined(row)})
    missing = [name for name in together if name not in counts]
    if missing:
        raise RecoveryRefused(f"no topic {', '.join(missing)}; `weir topics create` makes it")
    before = {name: counts[name] for name in together}
    if max(before.values()) > after:
        raise RecoveryRefused(
            f"{max(before, key=before.__getitem__)} has {max(before.values())} partitions: they "
            "cannot be taken away"
        )
    specs = [topology.spec_named(name) for name in topology.PROCESSORS]
    readers = [s for s in specs if not s.singleton and set(s.inputs) & set(together)]
    return Growth(before, after, tuple(readers))


class Drain:
    """Sees what still has to happen before topics may grow."""

    def __init__(self, settings: Settings, codec: Codec, growth: Growth, terms: Terms) -> None:
        self._settings = settings
        self._codec = codec
        self._growth = growth
        self._terms = terms
        self._places = [(name, n) for name, count in growth.before.items() for n in range(count)]
        self._ends: dict[Place, int] = {}
        self._still_since = time.monotonic()

    def reasons(self) -> list[str]:
        """Return what is waited for, in words; nothing when all is drained."""
        found = self._moving()
        saved = read_saved(self._settings, self._codec, self._growth.readers)
        applied = {
            (one.processor, place): offset
            for one in saved
            if one.snapshot is not None
            for place, offset in snapshots.positions_of(one.snapshot).items()
        }
        for spec in self._growth.readers:
            found += self._reader(spec, applied)
        if not found and not self._terms.without_sink:
            found += unstored(self._settings, self._codec, self._places, self._growth.before)
        return found

    def _moving(self) -> list[str]:
        ends = {at: end.high for at, end in self._asked_ends().items()}
        moved = sorted({at[0] for at, end in ends.items() if self._ends.get(at, end) != end})
        if moved or not self._ends:
            self._still_since = time.monotonic()
        self._ends = ends
        if moved:
            return [f"{', '.join(moved)} still grows: stop whatever sends to it"]
        quiet = time.monotonic() - self._still_since
        return [] if quiet >= self._terms.quiet_s else ["whether anything still comes"]

    def _asked_ends(self) -> Mapping[Place, kafka_ends.End]:
        return kafka_ends.ends(self._settings.kafka, self._places)

    def _reader(self, spec: Spec, applied: Mapping[tuple[str, Place], int]) -> list[str]:
        places = [place for place in self._places if place[0] in spec.inputs]
        group = f"weir-{spec.name}"
        known = kafka_groups.groups(self._settings.kafka, [group])[group].committed
        at = {place: applied.get((spec.name, place), known.get(place, 0)) for place in places}
        if not known and not any(at.values()):
            return []
        behind = kafka_ends.waiting(self._settings.kafka, at)
        if behind:
            return [_told(f"{spec.name} has yet to apply", {p: at[p] for p in behind})]
        if self._terms.accept_loss or topology.PROCESSORS[spec.name].host is topology.Host.FAUST:
            return []
        needed = {place: known[place] for place in places if place in known}
        held = kafka_ends.waiting(self._settings.kafka, needed)
        what = f"{spec.name} still needs what came last (up to 10 min; --accept-loss does without)"
        return [_told(what, {p: needed[p] for p in held})] if held else []

    def alive(self) -> list[str]:
        """Return the consumer groups of readers that have members."""
        names = sorted({g for spec in self._growth.readers for g in topology.groups_of(spec.name)})
        found = kafka_groups.groups(self._settings.kafka, names)
        return [name for name, group in found.items() if group.active]


def _told(what: str, places: Mapping[Place, int]) -> str:
    (topic, partition), offset = min(places.items())
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{what}: {topic}/{partition} from offset {offset}{more}"


def grow(settings: Settings, codec: Codec, growth: Growth, terms: Terms, say: Say) -> list[Mended]:
    """Drain, grow and share out; return what became of the saved states.

    `say` is told what is waited for, whenever that changes. Raises RecoveryRefused when a step
    takes longer than `terms.timeout_s`, KafkaUnavailable, RegistryUnavailable.
    """
    drain = Drain(settings, codec, growth, terms)
    if growth.needed:
        _await(drain.reasons, terms.timeout_s, say)
        say("drained; now stop every process that reads: " + _names(growth))
    _await(lambda: [f"{name} has members" for name in drain.alive()], terms.timeout_s, say)
    if growth.needed:
        late = drain.reasons()
        if late:
            raise RecoveryRefused(f"not drained any more, nothing was changed: {'; '.join(late)}")
        kafka_growing.grow(settings.kafka, dict.fromkeys(growth.before, growth.after))
        say(f"{', '.join(growth.before)} have {growth.after} partitions")
    saved = {one.processor for one in read_saved(settings, codec, growth.readers)}
    mended: list[Mended] = []
    for spec in growth.readers:
        if spec.name in saved:
            groups = topology.groups_of(spec.name)
            mended += migrate(settings, codec, spec, groups)
    say("start everything again")
    return mended


def _names(growth: Growth) -> str:
    return ", ".join(spec.name for spec in growth.readers)


def _await(reasons: Callable[[], list[str]], timeout_s: float, say: Say) -> None:
    until = time.monotonic() + timeout_s
    told: list[str] = []
    while why := reasons():
        if why != told:
            say("waiting: " + "; ".join(why))
            told = why
        if time.monotonic() > until:
            raise RecoveryRefused(
                f"not within {timeout_s:.0f} s, nothing was changed: {'; '.join(why)}"
            )
        time.sleep(LOOK_S)
