"""Measures the way to other agents: round trip, and bandwidth both ways.

Metrics: neighbour.<name>.reachable (1 or 0), neighbour.<name>.rtt (ms, one report per echo),
neighbour.<name>.up and .down (Mbit/s, as seen from here).
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from workers.agent import echoing
from workers.agent.echoing import Neighbour
from workers.agent.readings import Reading
from workers.agent.responder import PATIENCE_S, receive, send, skip

ECHOES = 5
BULK = 1_048_576


class Refused(OSError):
    """What answers there is no agent, or does not know our token."""


def measure(neighbour: Neighbour, token: str, bulk: int = 0) -> list[Reading]:
    """Return what the way to a neighbour is like, with `bulk` bytes each way if it is not 0.

    What is not moved in time is left out. Raises OSError when it does not answer, Refused when it
    is not one of ours.
    """
    name, until = f"neighbour.{neighbour.name}", time.monotonic() + echoing.LIFE_S
    where = (neighbour.host, neighbour.port)
    with socket.create_connection(where, PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _introduce(connection, token, until)
        trips = [_echo(connection, number, until) for number in range(ECHOES)]
        found = [Reading(f"{name}.rtt", trip * 1000, "ms") for trip in trips]
        with contextlib.suppress(OSError):  # a way that is too slow for it is a way
            for what, move in (("up", _up), ("down", _down)) if bulk else ():
                began = time.perf_counter()
                move(connection, bulk, until)
                took = time.perf_counter() - began
                rate = echoing.megabits_per_s(bulk, took, min(trips))
                found.append(Reading(f"{name}.{what}", rate, "Mbit/s"))
    return found


class Neighbours:
    """Measures one after another; `known` tells who there is, `bulk_every_s` of 0 moves nothing."""

    def __init__(
        self,
        known: Callable[[], Sequence[Neighbour]],
        token: str = "",
        bulk_every_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._known = known
        self._token = token
        self._bulk_every_s = bulk_every_s
        self._clock = clock
        self._next_bulk: dict[str, float] = {}

    def read(self) -> Iterator[Reading]:
        """Yield what the way to each neighbour is like now."""
        for neighbour in self._known():
            now = self._clock()
            due = bool(self._bulk_every_s) and now >= self._next_bulk.get(neighbour.name, now)
            found: list[Reading] = []
            with contextlib.suppress(OSError):
                found = measure(neighbour, self._token, BULK if due else 0)
                if due:
                    self._next_bulk[neighbour.name] = now + self._bulk_every_s
            yield Reading(f"neighbour.{neighbour.name}.reachable", float(bool(found)))
            yield from found


def _introduce(connection: socket.socket, token: str, until: float) -> None:
    greeting = receive(connection, len(echoing.GREETING) + echoing.NONCE, until)
    if not greeting.startswith(echoing.GREETING):
        raise Refused("no agent answers there")
    connection.sendall(echoing.proof(token, greeting[len(echoing.GREETING) :]))
    if receive(connection, len(echoing.WELCOME), until) != echoing.WELCOME:
        raise Refused("it does not know our token")


def _echo(connection: socket.socket, number: int, until: float) -> float:
    began = time.perf_counter()
    request = echoing.REQUEST.pack(echoing.ECHO, number)
    connection.sendall(request)
    if receive(connection, len(request), until) != request:
        raise Refused("the echo is not what was said")
    return time.perf_counter() - began


def _up(connection: socket.socket, size: int, until: float) -> None:
    connection.sendall(echoing.REQUEST.pack(echoing.UP, size))
    send(connection, size, until)
    receive(connection, echoing.REQUEST.size, until)


def _down(connection: socket.socket, size: int, until: float) -> None:
    connection.sendall(echoing.REQUEST.pack(echoing.DOWN, size))
    skip(connection, size, until)
