"""What processes ask a registry in plain HTTP, over a real socket: answers, refusals, silence."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from workers.errors import RegistryUnavailable
from workers.registry import Registry
from workers.registry_reading import NO_ANSWER, Reader, Refusal, Text
from workers.settings import RegistrySettings


class Served(ThreadingHTTPServer):
    """A registry that gives prepared answers per path, one after another, and notes who asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[tuple[int, bytes]]] = {}
        self.asked: list[tuple[str, Any, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Served

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.server.asked.append((self.path, body, self.headers["Authorization"]))
        waiting = self.server.answers.get(self.path, [(404, b'{"message": "nothing here"}')])
        status, content = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def silent() -> str:
    """Return an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def reader(url: str, **more: Any) -> Reader:
    return Reader(RegistrySettings(url=url, **more))


def test_a_schema_comes_with_its_references(served: Served) -> None:
    told = {"schema": '"int"', "references": [{"name": "n", "subject": "a b/c", "version": 2}]}
    served.answers["/schemas/ids/7"] = [(200, json.dumps(told).encode())]
    served.answers["/subjects/a%20b%2Fc/versions/2?deleted=true"] = [
        (200, b'{"schema": "x", "schemaType": "JSON"}')
    ]
    asked = reader(served.url + "/")
    assert asked.schema(7) == Text('"int"', "AVRO", (("a b/c", 2),))
    assert asked.version("a b/c", 2) == Text("x", "JSON", ())


def test_an_id_is_asked_for_by_schema_with_name_and_password(served: Served) -> None:
    served.answers["/subjects/s"] = [(200, b'{"id": 12}')]
    assert reader(served.url, username="u", password="p:w").id_of("s", '"int"') == 12
    ((_, body, who),) = served.asked
    assert body == {"schema": '"int"', "schemaType": "AVRO"}
    assert who == "Basic " + base64.b64encode(b"u:p:w").decode()


def test_a_refusal_tells_status_and_words(served: Served) -> None:
    served.answers["/schemas/ids/1"] = [(401, b"<html>")]
    with pytest.raises(Refusal, match="nothing here") as missing:
        reader(served.url).schema(7)
    with pytest.raises(Refusal, match="Unauthorized") as refused:
        reader(served.url).schema(1)
    assert (missing.value.status, refused.value.status) == (404, 401)


def test_a_registry_that_cannot_just_now_is_asked_again(served: Served) -> None:
    served.answers["/schemas/ids/7"] = [(503, b"{}"), (200, b'{"schema": "s"}')]
    assert reader(served.url).schema(7).schema == "s"
    assert len(served.asked) == 2


def test_the_second_address_answers_for_the_first(served: Served) -> None:
    served.answers["/schemas/ids/7"] = [(200, b'{"schema": "s"}')]
    assert reader(f"{silent()}, {served.url}").schema(7).schema == "s"
    with pytest.raises(NO_ANSWER):
        reader(silent()).schema(7)


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b"\xff"])
def test_what_is_no_answer_of_a_registry_counts_as_none(served: Served, content: bytes) -> None:
    served.answers["/schemas/ids/7"] = [(200, content)]
    with pytest.raises(RegistryUnavailable, match="start it"):
        Registry(RegistrySettings(url=served.url)).schema_of(7)


@pytest.mark.parametrize("url", ["", " , ", "127.0.0.1:8081", "file:///etc/passwd"])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(RegistryUnavailable, match="address of a schema registry"):
        Registry(RegistrySettings(url=url))
