"""What is outside of Weir: who is told by a webhook, and a language model, on the loopback.

Both take their time, so that whoever asks them is killed while it waits, too.
"""

import json
import re
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from typing_extensions import Self

from streams.embedded.processes import LOOPBACK
from workers.clock import wall_ms

HOOK, CHAT = "/hook", "/v1"
THINKING_S = 0.2
_SUBJECT = re.compile(rb"errand-(\d+)")
_ANSWER = json.dumps(
    {
        "model": "outside",
        "choices": [{"message": {"role": "assistant", "content": "It is as it is."}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
).encode()


def subject(number: int) -> str:
    """Return the name under which a diagnosis is known again in the prompt, which has no ids."""
    return f"errand-{number}"


class Outside:
    """A server that answers everybody, and notes when it was asked for what; a context manager.

    `heard` has the instants (ms) by the id of a notice, or of a diagnosis of the page `page`.
    """

    def __init__(self) -> None:
        self.heard: dict[str, list[int]] = {}
        self.page = ""
        made = type("Handler", (_Handler,), {"outside": self})
        self._server = ThreadingHTTPServer((LOOPBACK, 0), made)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def note(self, path: str, body: bytes) -> None:
        """Note what a body asks for."""
        now = wall_ms()
        if path == HOOK:
            names = [str(notice["id"]) for notice in json.loads(body)["notices"]]
        else:
            numbers = dict.fromkeys(_SUBJECT.findall(body))
            names = [f"{self.page}/{int(number)}" for number in numbers]
        for name in names:
            self.heard.setdefault(name, []).append(now)


class _Handler(BaseHTTPRequestHandler):
    outside: Outside

    def do_POST(self) -> None:
        """Take note, think, and answer whoever is still there."""
        self.outside.note(self.path, self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(THINKING_S)
        with suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(_ANSWER)))
            self.end_headers()
            self.wfile.write(_ANSWER)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""
