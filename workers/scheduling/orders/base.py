"""What an order is. Pure."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from workers.scheduling.lanes import Lane
from workers.scheduling.waiting import Rank, Waiting


class Pick(NamedTuple):
    """The job to begin with, and why.

    Its batch is to end by `by`, and may take `spare_ms` longer than its jobs' predicted work;
    where the order `sheds`, jobs that keep it small may be left out. Without a job the order
    waits on purpose, for a reason and until a time.
    """

    lane: Lane | None
    first: Waiting | None
    why: str
    by: float = float("inf")
    spare_ms: float = float("inf")
    sheds: bool = False
    until: float | None = None


class GivenUp(NamedTuple):
    """A job that had better be dropped, with its time to go and its slack (ms).

    Then how many services are expected to miss, and what share of the service's frames is dropped.
    """

    lane: Lane
    waiting: Waiting
    facts: tuple[float, float, float, float]


class Order(ABC):
    """Base of all orders; subclasses say by what a service's jobs are ranked and who is picked.

    The scheduler sees to the laws: it runs nothing that has expired or cannot be in time, serves
    who starves before it asks, and ends every job once. An order is told of everything that
    concerns it and must never look at all waiting jobs. It must depend on its arguments alone.
    """

    name = ""
    weighs = False
    """Whether it weighs how likely a job is in time; else none is begun that may well be late."""

    @abstractmethod
    def rank(self, waiting: Waiting, /) -> Rank:
        """Return by what a new job is sorted among its service's; smaller goes first."""

    @abstractmethod
    def pick(self, now: float, /) -> Pick | None:
        """Return what to begin now; None when nothing waits."""

    def served(self, lane: Lane, /) -> None:
        """Take note of a service."""

    def left(self, lane: Lane, /) -> None:
        """Take note that a service is gone; nothing of it waits."""

    def arrived(self, lane: Lane, /) -> None:
        """Take note that a job came for a service, whether it is let in or not."""

    def added(self, lane: Lane, waiting: Waiting, now: float, /) -> None:
        """Take note of a job that was let in; the next can begin `now`. May set jobs aside."""

    def removed(self, waiting: Waiting, /) -> None:
        """Take note of a job that waits no longer."""

    def changed(self, lane: Lane, /) -> None:
        """Take note that a service's next job or its predictions may be others."""

    def give_up(self, _now: float, /) -> GivenUp | None:
        """Return a job that had better be dropped, asked once per decision."""
        return None

    def outcome(self, service: str, took_ms: float, /, *, in_time: bool) -> None:
        """Take note of what became of a job: its share of an execution, or none."""

    def executed(self, lane: Lane, /) -> None:
        """Take note of whose job was executed; predictions may be others."""


def wake_at(pick: Pick, order: Order, now: float) -> float:
    """Return until when an order waits on purpose.

    Raises ValueError where it says no reason, or no time to come.
    """
    if pick.until is None or not pick.until > now or not pick.why:
        raise ValueError(
            f"order {order.name!r} waits until {pick.until}, at {now}, because {pick.why!r}; "
            "an order that waits says why, and until a time to come"
        )
    return pick.until
