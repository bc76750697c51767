"""When a processor on Faust has its states kept: with what follows, and else now and then."""

from collections.abc import Sequence
from dataclasses import replace

from faust.types import TP

from schemas.catalogue import Catalogue
from schemas.codec import pack_state
from schemas.decisions import Snapshot
from schemas.processing import Batch, Output
from streams.faust.session import TIMERS_UNKEPT_MS, Kept, Session
from streams.surroundings import World
from tests.hosts.samples import EPOCH, Tally, TallyState, tally, verdict
from workers.deadletters import BadShare
from workers.hosting.budget import SOONEST_MS
from workers.kafka.sending import Outgoing
from workers.local import local_codec

TICK_MS = 1_000
TELLS_AT = EPOCH + 35_000


class Ticking(Tally):
    """Is woken every second, remembers when, and tells something once."""

    def __init__(self) -> None:
        super().__init__()
        self._due: int | None = EPOCH

    def process(self, batch: Batch) -> Sequence[Output]:
        self._due = batch.now_ms + TICK_MS
        return [verdict("a", "number", 1, 0)] if batch.now_ms == TELLS_AT else []


class Still(Tally):
    """Has a state that nothing changes, as no event comes."""

    def snapshot(self) -> bytes:
        return pack_state(TallyState())


class Clocked:
    """A session of one instance, and its clock."""

    def __init__(self, kind: type[Tally]) -> None:
        self.now = EPOCH
        spec = replace(tally(), build=lambda _: kind())
        world = World(local_codec(), "cluster", Catalogue, lambda: self.now)
        kept = Kept(spec, 0, world, [TP("weir.observations", 0)], None)
        self.session = Session(world, spec, {0: kept}, BadShare(0.5, "tally"))

    def second(self, at: int) -> tuple[bool, Sequence[Outgoing]]:
        """Return whether something was told at a second, and the states kept then."""
        self.now = EPOCH + at * 1_000
        decided = self.session.decide([])
        assert decided.complete
        return bool(decided.outputs), decided.kept


def test_what_timers_changed_is_kept_now_and_then_and_with_what_is_told() -> None:
    clocked = Clocked(Ticking)
    kept = {at: found for at in range(61) if (found := clocked.second(at))[1]}
    between = TIMERS_UNKEPT_MS // 1_000
    assert [*kept] == [between, 2 * between + 1, 3 * between + 2, 35, 36 + between, 47 + between]
    assert [at for at, (told, _) in kept.items() if told] == [35]
    last = local_codec().decode(kept[35][1][0].value, Snapshot)
    assert last.state == pack_state(TallyState(due=EPOCH + 36_000))


def test_what_was_put_off_by_a_clock_that_was_ahead_is_kept_at_once() -> None:
    clocked = Clocked(Ticking)
    assert not clocked.second(3_600)[1]
    assert clocked.second(0)[1]


def test_a_state_that_nothing_changes_is_kept_again() -> None:
    clocked = Clocked(Still)
    minute = SOONEST_MS // 1_000
    assert [at for at in range(3 * minute) if clocked.second(at)[1]] == [minute, 2 * minute]
