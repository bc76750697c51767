"""The health port: what it answers, and that nobody who leaves early makes it complain."""

import socket
import threading
import urllib.error
import urllib.request

import pytest

from streams.embedded.processes import free_port
from streams.health import LOOPBACK, serving


def status_of(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_says_what_the_checks_say() -> None:
    port = free_port()
    with serving(port, ready=lambda: False):
        found = {path: status_of(port, path) for path in ("/live", "/ready", "/metrics", "/other")}
    assert found == {"/live": 200, "/ready": 503, "/metrics": 200, "/other": 404}


def test_a_caller_that_has_gone_before_the_answer_leaves_no_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    asked, gone, threads = threading.Event(), threading.Event(), set[threading.Thread]()

    def ready() -> bool:
        threads.add(threading.current_thread())
        asked.set()
        return gone.wait(10)

    with serving(port, ready):
        with socket.create_connection((LOOPBACK, port)) as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            caller.sendall(b"GET /ready HTTP/1.1\r\n\r\n")
            assert asked.wait(10)
        gone.set()
        for thread in threads:
            thread.join(10)
        assert status_of(port, "/live") == 200
    assert "Traceback" not in capfd.readouterr().err
