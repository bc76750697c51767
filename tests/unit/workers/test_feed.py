"""Offsets of several logs in one line, and heartbeats of what is not registered yet."""

from typing import Any

from tests.unit.workers.inference_world import T0
from workers.inference.feed import Feed
from workers.inference.link import Connection
from workers.inference.replicas import Wanted
from workers.inference.reporting import STARTING, Condition, Reporter, report
from workers.inference.results import Home


class Log:
    """Notes what is committed."""

    def __init__(self) -> None:
        self.committed: list[int] = []

    def commit(self, position: int) -> None:
        self.committed.append(position)


def connection(log: int, tasks: Any) -> Connection:
    return Connection("c", log, tasks, tasks, tasks, tasks)


def test_the_position_is_the_lowest_that_is_not_done() -> None:
    feed, log = Feed(), Log()
    feed.attach(connection(1, log))
    tickets = [feed.begin(offset) for offset in (7, 8, 9)]
    feed.done(tickets[1])
    feed.commit()
    feed.done(tickets[0])
    feed.commit()
    assert (log.committed, feed.following, feed.under_way) == ([7, 9], 10, 1)


def test_a_connection_that_is_lost_and_found_goes_on_where_it_was() -> None:
    feed, log = Feed(), Log()
    feed.attach(connection(1, log))
    ticket = feed.begin(7)
    feed.detach()
    assert (feed.attached, feed.read(5, 0.0)) == (False, [])
    feed.done(ticket)
    feed.commit()
    assert log.committed == []
    feed.attach(connection(1, log))
    feed.commit()
    assert log.committed == [8]


def test_the_end_of_a_task_of_a_former_log_moves_nothing_in_another() -> None:
    feed, log = Feed(), Log()
    feed.attach(connection(1, log))
    former = feed.begin(0)
    feed.attach(connection(2, log))
    assert feed.following is None
    now = feed.begin(0)
    assert now != former
    feed.done(former)
    feed.commit()
    feed.done(now)
    feed.commit()
    assert log.committed == [0, 1]


def test_what_is_placed_before_it_is_registered_is_reported() -> None:
    reporter = Reporter(Home("n", "w"), "run", "user", 7, 1000)
    unknown = Wanted("double.n", "double", "digits", None, None)
    told = report(reporter, unknown, None, Condition(STARTING, None, 0, 0.0), T0)
    assert [(entry.key, entry.value) for entry in told.metadata] == [("pid", "7")]
