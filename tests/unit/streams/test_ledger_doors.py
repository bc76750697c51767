"""The ledger's ways in and out beside Kafka: callers who ask again, and who is asked outside."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from schemas.observing import MetricReport
from streams.bench import ledger_outside
from streams.bench.ledger import Ledger, Metric
from streams.bench.ledger_app import APP, SERVICE, STAGE
from streams.bench.ledger_callers import Callers, Doors
from streams.bench.ledger_errands import diagnosis, notice
from streams.bench.ledger_feed import Feed, Rates
from streams.bench.ledger_outside import CHAT, HOOK, Outside, subject
from tests.intake.intake_world import served
from workers.client import request_of
from workers.clock import wall_ms
from workers.narrating.narrator import Narrator
from workers.narrating.prompting import messages
from workers.notifying.notices import notice_of, webhook_body
from workers.settings import KafkaSettings
from workers.settings_outside import NarrateSettings

DEAF: Any = None
"""Closes the connection instead of answering."""


@contextmanager
def gateway(answers: list[Any], asked: list[tuple[str, str]]) -> Iterator[int]:
    """Serve these answers, status and body each, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Idempotency-Key"]))
            answer = answers.pop(0)
            if answer is DEAF:
                return
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(json.dumps(answer[1]).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def test_a_call_is_repeated_with_its_key_until_the_application_answers() -> None:
    own = request_of(APP, (), idempotency_key="page/1").request_id
    asked: list[tuple[str, str]] = []
    refused = {"what": "not ready", "where": "gateway", "remedy": ""}
    failed = {**refused, "answer": {"request_id": own, "answered_at": 17, "status": "failed"}}
    foreign = (200, {"request_id": "another", "answered_at": 1})
    ledger = Ledger(1_000)
    with Outside() as outside, gateway([DEAF, (503, refused), foreign, (503, failed)], asked) as at:
        callers = Callers(ledger, Doors(at, 0, outside))
        callers.call("page/1", 5)
        callers.end()
    assert asked == [(f"/v1/apps/{APP}/infer", "page/1")] * 4
    assert (ledger.requests, ledger.calls, ledger.told) == ({own}, {own: 5}, {own: 17})
    assert ledger.answered_all()


def test_a_report_is_repeated_until_it_is_taken_and_is_a_metric_of_the_page() -> None:
    ledger, now = Ledger(1_000), wall_ms()
    with Outside() as outside, served() as intake:
        intake.sink.down()
        port = int(intake.url.rpartition(":")[2])
        callers = Callers(ledger, Doors(0, port, outside))
        callers.report("page/1", "page", Metric("m3", now))
        callers.end()
        (event,) = intake.sink.events
    assert event == MetricReport(
        event_time=now,
        app=APP,
        stage=STAGE,
        service=SERVICE,
        instance="page",
        metric="m3",
        value=1.0,
        request_id="page/1",
    )
    assert ledger.tries["page/1"] == ledger.most("page/1") == 2
    assert ledger.answered_all()


def test_who_is_never_answered_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.bench.ledger_callers.LAST_S", 0.3)
    ledger = Ledger(1_000)
    with Outside() as outside, gateway([], []) as at:
        pass
    callers = Callers(ledger, Doors(at, 0, outside))
    callers.call("page/1", 5)
    callers.end()
    assert not ledger.answered_all()
    assert not ledger.tries, "nobody was there who could have taken it"


def test_who_is_outside_hears_of_notices_and_diagnoses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_outside, "THINKING_S", 0.0)
    hook = webhook_body("m", [notice_of(notice(f"page/{n}", "page", 5)) for n in (1, 2)])
    wanted = diagnosis("page/17", "page", subject(17), wall_ms())
    chat = json.dumps({"messages": messages(wanted)}).encode()
    with Outside() as outside:
        outside.page = "page"
        for path, body in ((HOOK, hook), (f"{CHAT}/chat/completions", chat), (HOOK, hook)):
            connection = HTTPConnection("127.0.0.1", int(outside.url.rpartition(":")[2]))
            connection.request("POST", path, body)
            assert connection.getresponse().status == 200
            connection.close()
        told = Narrator(
            NarrateSettings(url=f"{outside.url}{CHAT}", model="m"), lambda _: False
        ).narrate(wanted)
    assert {name: len(at) for name, at in outside.heard.items()} == {
        "page/1": 2,
        "page/2": 2,
        "page/17": 2,
    }
    assert told is not None
    assert told.status == "told"


def test_a_diagnosis_of_the_ledger_is_one_that_is_narrated() -> None:
    narrator = Narrator(NarrateSettings(), lambda _: False)
    both = [diagnosis(f"page/{n}", "page", subject(n), wall_ms()) for n in (1, 2)]
    assert narrator.wanted(both) == both


class Wireless:
    """A codec for events that nobody reads."""

    def encode(self, _: object) -> bytes:
        return b"event"


def test_a_way_works_again_when_it_has_carried_what_began_since() -> None:
    outside, began = Outside(), wall_ms()
    rates = Rates(notices=1.0, diagnoses=1.0)
    codec: Any = Wireless()
    feed = Feed(KafkaSettings(), codec, "page", rates, Doors(0, 0, outside))
    feed.notify()
    feed.diagnose()
    assert feed.missing(began) == ["notices", "diagnoses"]
    (first,), (second,) = feed.ledger.notices, feed.ledger.diagnoses
    outside.heard |= {first: [began], second: [began]}
    assert feed.missing(began) == []
    assert feed.missing(wall_ms() + 60_000) == ["notices", "diagnoses"]
