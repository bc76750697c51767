"""Agents that measure the way between them, over the loopback; strangers learn nothing."""

import errno
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.unit.workers.probe_world import until
from workers.agent import echoing
from workers.agent.echoing import Neighbour
from workers.agent.neighbours import ECHOES, Neighbours, Refused, measure
from workers.agent.responder import NotToBeServed, Responder, receive

TOKEN = "between us"


@pytest.fixture
def responder() -> Iterator[Responder]:
    with Responder("127.0.0.1", 0, TOKEN) as made:
        yield made


def at(port: int) -> Neighbour:
    return Neighbour("n2", "127.0.0.1", port)


def welcomed(port: int, token: str = TOKEN) -> socket.socket:
    """Return a connection that has introduced itself."""
    connection = socket.create_connection(("127.0.0.1", port), 5)
    size = len(echoing.GREETING) + echoing.NONCE
    greeting = receive(connection, size, time.monotonic() + 5)
    connection.sendall(echoing.proof(token, greeting[len(echoing.GREETING) :]))
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side ends the connection, be it without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_way_is_measured_there_and_back(responder: Responder) -> None:
    found = measure(at(responder.port), TOKEN, bulk=200_000)
    assert [reading.metric for reading in found] == [
        *["neighbour.n2.rtt"] * ECHOES, "neighbour.n2.up", "neighbour.n2.down",
    ]  # fmt: skip
    assert all(0 < reading.value < 1_000 for reading in found[:ECHOES])
    assert all(reading.value > 1 and reading.unit == "Mbit/s" for reading in found[ECHOES:])


def test_who_does_not_know_the_token_is_not_answered(responder: Responder) -> None:
    with pytest.raises((Refused, ConnectionResetError)):
        measure(at(responder.port), "guessed")
    with welcomed(responder.port, "guessed") as connection:
        assert is_closed(connection)


def test_a_proof_cannot_be_said_again(responder: Responder) -> None:
    old = echoing.proof(TOKEN, bytes(echoing.NONCE))
    with socket.create_connection(("127.0.0.1", responder.port), 5) as connection:
        receive(connection, len(echoing.GREETING) + echoing.NONCE, time.monotonic() + 5)
        connection.sendall(old)
        assert is_closed(connection)


@pytest.mark.parametrize("kind", [echoing.UP, echoing.DOWN])
def test_more_than_the_bound_is_not_moved(responder: Responder, kind: bytes) -> None:
    with welcomed(responder.port) as connection:
        assert receive(connection, 1, time.monotonic() + 5) == echoing.WELCOME
        connection.sendall(echoing.REQUEST.pack(kind, echoing.MOST_BYTES + 1))
        assert is_closed(connection)


def test_a_connection_has_so_many_requests(responder: Responder) -> None:
    with welcomed(responder.port) as connection:
        receive(connection, 1, time.monotonic() + 5)
        for number in range(echoing.MOST_REQUESTS):
            request = echoing.REQUEST.pack(echoing.ECHO, number)
            connection.sendall(request)
            assert receive(connection, len(request), time.monotonic() + 5) == request
        assert is_closed(connection)


def test_four_at_a_time_are_answered_and_then_others(responder: Responder) -> None:
    held = [welcomed(responder.port) for _ in range(echoing.MOST_CONNECTIONS)]
    for connection in held:
        assert receive(connection, 1, time.monotonic() + 5) == echoing.WELCOME
    with socket.create_connection(("127.0.0.1", responder.port), 5) as fifth:
        assert is_closed(fifth)
    for connection in held:
        connection.close()

    def answered() -> bool:
        try:
            return bool(measure(at(responder.port), TOKEN))
        except OSError:
            return False

    until(answered)


def test_a_connection_has_a_life(monkeypatch: pytest.MonkeyPatch, responder: Responder) -> None:
    monkeypatch.setattr(echoing, "LIFE_S", 0.0)
    with socket.create_connection(("127.0.0.1", responder.port), 5) as connection:
        receive(connection, len(echoing.GREETING) + echoing.NONCE, time.monotonic() + 5)
        assert is_closed(connection)


def test_a_way_that_moves_nothing_is_a_way_and_is_not_filled_again_at_once() -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(echoing.GREETING + bytes(echoing.NONCE))
                    receive(connection, echoing.PROOF, time.monotonic() + 5)
                    connection.sendall(echoing.WELCOME)
                    while request := connection.recv(echoing.REQUEST.size):
                        asked.append(request[:1])
                        if request[:1] != echoing.ECHO:
                            break
                        connection.sendall(request)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        slow = Neighbours(lambda: [at(server.getsockname()[1])], TOKEN, clock=lambda: 0.0)
        for _ in range(2):
            found = [reading.metric for reading in slow.read()]
            assert found == ["neighbour.n2.reachable", *["neighbour.n2.rtt"] * ECHOES]
        thread.join()
    assert asked.count(echoing.UP) == 1


class OutOfFiles:
    """A listening socket that once has no file left for a connection."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.failed = False

    def accept(self) -> tuple[socket.socket, object]:
        if not self.failed:
            self.failed = True
            raise OSError(errno.EMFILE, "Too many open files")
        return self._real.accept()

    def shutdown(self, how: int) -> None:
        self._real.shutdown(how)

    def close(self) -> None:
        self._real.close()


def test_a_responder_outlasts_a_lack_of_files(responder: Responder) -> None:
    lacking = OutOfFiles(responder._socket)
    responder._socket = lacking  # type: ignore[assignment]  # it has what a responder uses
    measure(at(responder.port), TOKEN)
    measure(at(responder.port), TOKEN)
    assert lacking.failed


def test_outside_the_loopback_a_token_is_needed() -> None:
    with pytest.raises(NotToBeServed, match="WEIR_AGENT__TOKEN"):
        Responder("0.0.0.0", 0)


def test_a_port_that_is_taken_is_told(responder: Responder) -> None:
    with pytest.raises(NotToBeServed, match=f"cannot listen on 127.0.0.1:{responder.port}"):
        Responder("127.0.0.1", responder.port)


def test_what_is_no_agent_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Refused, match="no agent"):
            measure(at(server.getsockname()[1]), TOKEN)
        thread.join()


def test_neighbours_are_told_reachable_or_not_and_moved_bytes_seldom(responder: Responder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = closed.getsockname()[1]
    now = [50.0]
    both = [at(responder.port), Neighbour("gone", "127.0.0.1", gone)]
    asked = Neighbours(lambda: both, TOKEN, bulk_every_s=60.0, clock=lambda: now[0])
    counts = []
    for moment in (50.0, 51.0, 109.0, 110.0):
        now[0] = moment
        found = list(asked.read())
        told = {reading.metric: reading.value for reading in found}
        assert (told["neighbour.n2.reachable"], told["neighbour.gone.reachable"]) == (1.0, 0.0)
        assert "neighbour.gone.rtt" not in told
        counts.append("neighbour.n2.up" in told)
    assert counts == [True, False, False, True]
