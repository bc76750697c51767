"""What a host holds is committed in time, also when its clock was ahead and is set right."""

from schemas.catalogue import Catalogue
from tests.hosts.samples import EPOCH, observations, tally
from workers.host_work import LONGEST_WAIT_MS, Work
from workers.local import LocalMessage, local_codec

HOUR_MS = 3_600_000
PLACE = ("weir.observations", 0)
LARGE_STATE = 100 * 1_048_576


def message(number: int) -> LocalMessage:
    value = local_codec().encode(observations(number + 1)[number])
    return LocalMessage(PLACE, number, EPOCH, b"app 0", value, number)


def test_a_clock_that_was_ahead_delays_no_commit() -> None:
    work = Work(tally(), local_codec(), "cluster", 0.5, {})
    work.take_over({PLACE: 0}, {})
    work.apply([message(0)], EPOCH + HOUR_MS, Catalogue(), set())
    work.committed(LARGE_STATE, EPOCH + HOUR_MS)
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
