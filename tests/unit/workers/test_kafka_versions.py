"""ApiVersions over a plain socket."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workers.errors import KafkaUnavailable
from workers.kafka.versions import api_versions, decoded, reachable
from workers.settings import KafkaSettings


@contextmanager
def answering(*answers: bytes) -> Iterator[KafkaSettings]:
    """Listen on loopback, and give each connection one of the answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(64)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield KafkaSettings(bootstrap=f"127.0.0.1:{port}")
        thread.join(10)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


GOOD = struct.pack(">ihi", 1, 0, 2) + struct.pack(">hhhhhh", 0, 3, 11, 1, 4, 17)


def test_versions_are_read_by_request() -> None:
    with answering(framed(GOOD)) as settings:
        assert api_versions(settings) == {0: (3, 11), 1: (4, 17)}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the connection was closed"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no Kafka broker"),
        (framed(struct.pack(">ihi", 1, 35, 0)), "error 35"),
        (framed(GOOD[:-4]), "requires a buffer"),
    ],
)
def test_what_is_no_broker_is_said_to_be_none(answer: bytes, words: str) -> None:
    with answering(answer) as settings, pytest.raises(KafkaUnavailable, match=words):
        api_versions(settings)


def test_the_second_address_is_asked_when_the_first_is_away() -> None:
    with answering(framed(GOOD)) as settings:
        several = settings.model_copy(update={"bootstrap": f"127.0.0.1:1, {settings.bootstrap}"})
        assert 1 in api_versions(several)


def test_every_address_is_told_with_what_is_wrong() -> None:
    with pytest.raises(
        KafkaUnavailable, match=r"127\.0\.0\.1:1: .*refused; nowhere: write host:po"
    ):
        api_versions(KafkaSettings(bootstrap="127.0.0.1:1,nowhere"))
    assert "refused" in reachable("127.0.0.1:1")


def test_an_answer_without_requests_has_none() -> None:
    assert decoded(struct.pack(">ihi", 1, 0, 0)) == {}
