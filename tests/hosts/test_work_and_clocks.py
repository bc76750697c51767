"""What a host holds is committed in time, also when its clock was ahead and is set right."""

from dataclasses import replace

from processors.observing.observe import ObserveParams, spec
from processors.routing import route
from schemas.catalogue import Catalogue
from schemas.packed import Packed
from tests.hosts.samples import EPOCH, metrics, observations, tally
from tests.unit.processors import routing_world
from workers.hosting.budget import LATEST_MS, LONGEST_WAIT_MS, SOONEST_MS
from workers.hosting.work import QUIET_MS, Work
from workers.local import LocalMessage, local_codec

HOUR_MS = 3_600_000
PLACE = ("weir.observations", 0)
LARGE_STATE = 100 * 1_048_576


def message(number: int) -> LocalMessage:
    value = local_codec().encode(observations(number + 1)[number])
    return LocalMessage(PLACE, number, EPOCH, b"app 0", value, number)


def test_the_timers_of_a_full_processor_fire_though_more_waits_to_be_read() -> None:
    full = spec(ObserveParams(most_rows=2, size_ms=10, allowed_lateness_ms=0))
    place = ("weir.metrics", 0)
    waiting = [
        LocalMessage(place, number, EPOCH, b"k", local_codec().encode(event), number)
        for number, event in enumerate(metrics(2, series=1, step_ms=1))
    ]
    work = Work(full, local_codec(), "cluster", 0.5, {})
    work.take_over({place: 0}, {})

    work.apply(waiting, EPOCH, Catalogue(), set())
    assert work.full
    due = work.next_wake()
    assert due is not None
    step = work.apply([], due, Catalogue(), set())

    assert len(step.outputs) == 1
    assert not work.full


def test_what_a_processor_packed_is_handed_on_as_it_is() -> None:
    place = (route.REQUESTS, 0)
    value = local_codec().encode(routing_world.request())
    work = Work(route.spec(), local_codec(), "cluster", 0.5, {})
    work.take_over({place: 0}, {})
    work.apply(
        [LocalMessage(place, 0, routing_world.T0, b"r1", value, 0)],
        routing_world.T0,
        routing_world.usual(),
        set(),
    )
    assert work.held
    assert all(isinstance(one, Packed) for one in work.held)


def test_a_clock_that_was_ahead_delays_no_commit() -> None:
    work = Work(tally(), local_codec(), "cluster", 0.5, {})
    work.take_over({PLACE: 0}, {})
    work.apply([message(0)], EPOCH + HOUR_MS, Catalogue(), set())
    work.committed([LARGE_STATE], EPOCH + HOUR_MS)
    work.apply([message(1)], EPOCH, Catalogue(), set())
    due = work.commit_due()
    assert due is not None
    assert EPOCH <= due <= EPOCH + LONGEST_WAIT_MS


def test_work_without_outputs_is_committed_after_the_clock_went_back() -> None:
    work = Work(tally(), local_codec(), "cluster", 0.5, {})
    work.take_over({PLACE: 0}, {})
    work.apply([message(0)], EPOCH + HOUR_MS, Catalogue(), set())
    work.held = []
    work.apply([], EPOCH, Catalogue(), set())
    due = work.commit_due()
    assert due is not None
    assert due <= EPOCH + 2_000


def closing_and_quiet() -> Work:
    """Return work on two partitions: a window has closed in the first, and none in the second."""
    work = Work(spec(ObserveParams(size_ms=10, allowed_lateness_ms=0)), local_codec(), "c", 0.5, {})
    first, second = (("weir.metrics", partition) for partition in (0, 1))
    work.take_over({first: 0, second: 0}, {})
    events = [local_codec().encode(event) for event in metrics(2, series=1, step_ms=20)]
    messages = [LocalMessage(first, at, EPOCH, b"k", value, at) for at, value in enumerate(events)]
    messages.append(LocalMessage(second, 0, EPOCH, b"k", events[0], 2))
    work.apply(messages, EPOCH, Catalogue(), set())
    return work


def test_the_state_of_who_tells_nothing_is_left_to_a_later_commit() -> None:
    work = closing_and_quiet()
    work.hold_back(EPOCH)
    assert [state.partition for state in work.snapshots(EPOCH)] == [0]
    assert {partition for _, partition in work.offsets()} == {0}
    work.committed([1], EPOCH)

    assert work.commit_due() == EPOCH + QUIET_MS
    work.hold_back(EPOCH + QUIET_MS)
    assert [state.partition for state in work.snapshots(EPOCH + QUIET_MS)] == [1]
    assert {partition for _, partition in work.offsets()} == {1}
    work.committed([1], EPOCH + QUIET_MS)
    assert work.commit_due() is None


def test_nobody_is_left_to_a_later_commit_for_long() -> None:
    work = closing_and_quiet()
    work.hold_back(EPOCH + QUIET_MS)
    assert [state.partition for state in work.snapshots(EPOCH + QUIET_MS)] == [0, 1]


def test_states_that_nothing_changes_are_written_again_after_a_while() -> None:
    work = Work(tally(), local_codec(), "cluster", 0.5, {})
    work.take_over({PLACE: 0, (PLACE[0], 1): 0}, {})
    work.apply([message(0)], EPOCH, Catalogue(), set())
    work.committed([LARGE_STATE], EPOCH)
    later = EPOCH + SOONEST_MS
    work.apply([], later - 1, Catalogue(), set())
    assert work.commit_due() is None
    work.apply([], later, Catalogue(), set())
    assert work.commit_due() == later + QUIET_MS
    assert [state.partition for state in work.snapshots(later)] == [1]
    work.committed([1], later)
    work.apply([], EPOCH + LATEST_MS, Catalogue(), set())
    assert [state.partition for state in work.snapshots(EPOCH + LATEST_MS)] == [0, 1]


def test_who_writes_no_states_writes_none_again() -> None:
    work = Work(replace(tally(), transactional=False), local_codec(), "cluster", 0.5, {})
    work.take_over({PLACE: 0}, {})
    work.apply([], EPOCH, Catalogue(), set())
    work.apply([], EPOCH + LATEST_MS, Catalogue(), set())
    assert work.commit_due() is None
