"""Which frame of which service comes when. Pure."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import NamedTuple

from workers.simulation.chance import Stream
from workers.standalone.config import Mode, Run, Service


class Coming(NamedTuple):
    """The `place`-th frame of a service, and when it comes, ms from the beginning."""

    at_ms: float
    service: str
    place: int


def coming(run: Run, mode: Mode, most: int | None = None) -> Iterator[Coming]:
    """Yield frames by arrival, those of one instant in the order of the services; at most `most`.

    Under a load of 2 instants are half as far from the beginning, so that twice as many fit in.
    """
    until = run.lasts_ms(mode)
    each = (_of(service, run.seed, mode.load, until) for service in run.services)
    return islice(merge(*each, key=lambda one: one.at_ms), most)


def _of(service: Service, seed: int, load: float, until: float) -> Iterator[Coming]:
    stream = Stream(seed, f"{service.name}/arrivals")
    for place, at in enumerate(service.arrivals.instants(stream, until * load)):
        yield Coming(at / load, service.name, place)
