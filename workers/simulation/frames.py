"""The frames of a scenario, in the order in which they arrive. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge

from workers.simulation.chance import Stream
from workers.simulation.scenario import Scenario, Service


@dataclass(frozen=True, slots=True)
class Frame:
    """One piece of work: the `place`-th of its service; times in ms.

    `item_ms` is its own part of an execution on a cool device.
    """

    service: Service
    place: int
    arrived: float
    item_ms: float

    @property
    def deadline(self) -> float:
        """Return until when an answer is in time."""
        return self.arrived + self.service.budget_ms


def arriving(scenario: Scenario) -> Iterator[Frame]:
    """Yield all frames by arrival, those of one instant in the order of the services."""
    return merge(
        *(_of(service, scenario) for service in scenario.services), key=lambda one: one.arrived
    )


def _of(service: Service, scenario: Scenario) -> Iterator[Frame]:
    times = Stream(scenario.seed, f"{service.name}/arrivals")
    work = Stream(scenario.seed, f"{service.name}/work")
    instants = service.arrivals.instants(times, scenario.duration_ms)
    if scenario.pauses is not None:
        instants = filter(scenario.pauses.over, instants)
    for place, at in enumerate(instants):
        yield Frame(service, place, at, service.service_time.item(work.at(place)))
