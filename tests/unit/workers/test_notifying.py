"""Notices become messages that come at least once, signed, grouped, and are not lost in silence."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from processors.remedying import definitions, telling
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.records import KeyValue
from tests.loopback import running
from workers.notifying import notices
from workers.notifying.outbox import Message, Outbox, Terms
from workers.notifying.sending import attempt, terms_of
from workers.settings_outside import NotifySettings

T0 = 1_700_000_000_000
BOTH = ("webhook", "alertmanager")


def asked(number: int, state: str = "firing", finding: str = "", **more: str) -> ActionTaken:
    told = {"state": state, "finding": finding or f"f{number}", "since": str(T0 - 5_000)}
    told |= {"rule": "slow", "severity": "critical", "service": "s"} | more
    return ActionTaken(
        event_id=stable_id("asked", number, state, repr(told)),
        target="shop",
        kind="remedy.notify",
        status="done",
        policy="tell",
        reason=f"finding {number}",
        parameters=tuple(KeyValue(key=key, value=value) for key, value in told.items()),
        taken_at=T0 + number,
        app="shop",
    )


@dataclass
class Heard:
    """What a receiver was sent, and what it answers, the last answer for ever."""

    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiver(heard: Heard) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.requests.append((self.path, dict(self.headers), body))
            self.send_response(heard.answers[0])
            for name, value in heard.headers.items():
                self.send_header(name, value)
            if len(heard.answers) > 1:
                heard.answers.pop(0)
            self.end_headers()
            self.wfile.write(b"secret words of the receiver")

        def log_message(self, *_: Any) -> None:
            pass

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url


def test_a_storm_is_one_message_and_what_was_sent_is_said() -> None:
    box = Outbox(Terms(("webhook",), group_ms=2_000))
    for number in range(300):
        assert box.take(asked(number), T0 + number) == []
    assert box.due(T0 + 1_999) == []

    (message,) = box.due(T0 + 2_000)
    assert len(message.notices) == 300
    plain = json.loads(notices.webhook_body(message.identity, message.notices))
    assert (plain["count"], plain["more"], len(plain["notices"])) == (300, 200, 100)
    (said,) = box.sent(message, T0 + 2_100)
    assert (said.kind, said.status, len(said.causes)) == ("notify.sent", "done", 300)
    assert box.due(T0 + 9_000) == []


def test_the_same_notice_twice_is_told_once_also_by_a_process_that_begins() -> None:
    box = Outbox(Terms(("webhook",), group_ms=0))
    box.take(asked(1), T0)
    box.take(asked(1), T0)
    (message,) = box.due(T0)
    said = box.sent(message, T0)
    box.take(asked(1), T0)
    assert box.due(T0 + 5_000) == []

    other = Outbox(Terms(("webhook",), group_ms=0))
    other.restore([asked(1), asked(2), *said], T0 + 1_000)
    (left,) = other.due(T0 + 1_000)
    assert [one.event_id for one in left.notices] == [asked(2).event_id]


def test_old_notices_are_not_told_by_a_process_that_begins() -> None:
    box = Outbox(Terms(("webhook",), group_ms=0, max_age_ms=1_000))
    box.restore([asked(1), asked(5_000)], T0 + 5_500)

    (message,) = box.due(T0 + 5_500)
    assert [one.event_id for one in message.notices] == [asked(5_000).event_id]


def test_what_is_not_taken_is_tried_again_ever_later_and_then_given_up() -> None:
    box = Outbox(Terms(("webhook",), group_ms=0, attempts=4))
    box.take(asked(1), T0)
    now, waits, said = T0, [], []
    for _ in range(4):
        (message,) = box.due(now)
        said = box.failed(message, "nobody at home", now, again=True)
        waits.append(next((w for w in range(0, 70_000, 500) if _waits(box, now, w)), -1))
        now += max(waits[-1], 0)

    assert waits == [1_000, 2_000, 4_000, -1]
    (dead,) = said
    assert (dead.kind, dead.status, dead.reason) == ("notify.failed", "failed", "nobody at home")
    assert dead.causes == (asked(1).event_id,)


def _waits(box: Outbox, now: int, wait: int) -> bool:
    return any(message.not_before <= now + wait for message in box._retried)


def test_a_refusal_is_the_end_and_a_receiver_may_say_when_to_come_again() -> None:
    box = Outbox(Terms(("webhook",), group_ms=0))
    box.take(asked(1), T0)
    (message,) = box.due(T0)
    (dead,) = box.failed(message, "x answered 400", T0, again=False)
    assert dead.status == "failed"

    box.take(asked(2), T0)
    (message,) = box.due(T0)
    assert box.failed(message, "x answered 429", T0, again=True, wait_ms=30_000) == []
    assert box.due(T0 + 29_999) == []
    (same,) = box.due(T0 + 30_000)
    assert same.identity == message.identity


def test_the_queue_is_bounded_and_what_goes_is_told() -> None:
    box = Outbox(Terms(("webhook",), queue=10))
    said = [one for number in range(13) for one in box.take(asked(number), T0)]

    assert box.size == 10
    assert [one.causes[0] for one in said] == [asked(number).event_id for number in range(3)]
    assert {one.status for one in said} == {"failed"}


def test_a_receiver_that_nobody_named_is_a_dead_end() -> None:
    box = Outbox(Terms(("webhook",), group_ms=0))

    (said,) = box.take(asked(1, receiver="alertmanager"), T0)

    assert (said.kind, said.status) == ("notify.failed", "failed")
    assert box.due(T0) == []


def test_alerts_that_fire_are_told_again_until_they_are_resolved() -> None:
    box = Outbox(Terms(("alertmanager",), group_ms=0, repeat_ms=60_000))
    box.take(asked(1, finding="f"), T0)
    (first,) = box.due(T0)
    box.sent(first, T0)
    assert box.due(T0 + 59_999) == []
    (again,) = box.due(T0 + 60_000)
    assert again.again
    assert box.sent(again, T0 + 60_000) == []
    assert box.due(T0 + 61_000) == []

    box.take(asked(2, "resolved", finding="f"), T0 + 62_000)
    (last,) = box.due(T0 + 62_000)
    assert [one.status for one in last.notices] == ["resolved"]
    box.sent(last, T0 + 62_000)
    assert box.due(T0 + 200_000) == []


def test_an_alert_whose_end_could_not_be_told_is_not_told_again() -> None:
    box = Outbox(Terms(("alertmanager",), group_ms=0, attempts=1))
    box.take(asked(1, finding="f"), T0)
    (first,) = box.due(T0)
    box.sent(first, T0)
    box.take(asked(2, "resolved", finding="f"), T0 + 1)
    (last,) = box.due(T0 + 1)
    (dead,) = box.failed(last, "nobody at home", T0 + 2, again=True)

    assert dead.kind == "notify.failed"
    assert box.due(T0 + 200_000) == []


def test_an_alert_whose_severity_rises_ends_under_its_old_labels() -> None:
    box = Outbox(Terms(("alertmanager",), group_ms=0))
    box.take(asked(1, finding="f", severity="warning"), T0)
    (first,) = box.due(T0)
    box.sent(first, T0)

    box.take(asked(2, finding="f"), T0 + 10)
    (second,) = box.due(T0 + 10)

    alerts = json.loads(notices.alerts_body(second.notices, T0 + 240_000))
    assert [one["labels"]["severity"] for one in alerts] == ["warning", "critical"]
    assert alerts[0]["endsAt"] == notices.instant(asked(2).taken_at)
    assert alerts[1]["endsAt"] == notices.instant(T0 + 240_000)


@pytest.mark.parametrize(
    ("ms", "told"),
    [(2**62, "9999-12-31T23:59:59.000Z"), (-(2**62), "1970-01-01T00:00:00.000Z")],
)
def test_an_instant_that_no_calendar_knows_is_the_nearest(ms: int, told: str) -> None:
    assert notices.instant(ms) == told


def test_a_webhook_is_sent_signed_json() -> None:
    heard = Heard()
    with receiver(heard) as url:
        settings = NotifySettings(webhook_url=f"{url}/hook/xyz", webhook_secret="key")
        message = Message("webhook", (notices.notice_of(asked(1)),))
        assert attempt(settings, message, 0) == ("", False, 0)

    ((path, headers, body),) = heard.requests
    assert path == "/hook/xyz"
    signed = hmac.new(b"key", headers["Weir-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["Weir-Signature"] == f"sha256={signed.hexdigest()}"
    plain = json.loads(body)
    assert (plain["status"], plain["app"], plain["id"]) == ("firing", "shop", headers["Weir-Id"])
    (one,) = plain["notices"]
    assert (one["service"], one["severity"], one["summary"]) == ("s", "critical", "finding 1")


def test_alertmanager_is_sent_alerts() -> None:
    heard = Heard()
    with receiver(heard) as url:
        settings = NotifySettings(alertmanager_url=f"{url}/am/", alertmanager_token="t")
        message = Message("alertmanager", (notices.notice_of(asked(1)),))
        assert attempt(settings, message, T0 + 240_000) == ("", False, 0)

    ((path, headers, body),) = heard.requests
    assert (path, headers["Authorization"]) == ("/am/api/v2/alerts", "Bearer t")
    (alert,) = json.loads(body)
    assert alert["labels"]["alertname"] == "slow"
    assert (alert["startsAt"], alert["endsAt"]) == (
        notices.instant(T0 - 5_000),
        notices.instant(T0 + 240_000),
    )


@pytest.mark.parametrize(
    ("status", "again"), [(500, True), (429, True), (400, False), (301, False)]
)
def test_an_answer_says_whether_to_come_again_and_tells_no_secret(status: int, again: bool) -> None:
    heard = Heard([status], {"Retry-After": "7"})
    with receiver(heard) as url:
        settings = NotifySettings(webhook_url=f"{url}/hook/secret-path", webhook_secret="key")
        why, come_again, wait_ms = attempt(settings, Message("webhook", (_trial(),)), 0)

    assert (come_again, wait_ms) == (again, 7_000)
    assert f"answered {status}" in why
    assert "secret" not in why


def test_nobody_at_home_is_tried_again_and_tells_no_path() -> None:
    settings = NotifySettings(webhook_url="http://127.0.0.1:9/hook/secret-path", timeout_s=1)

    why, again, _ = attempt(settings, Message("webhook", (_trial(),)), 0)

    assert again
    assert "127.0.0.1:9" in why
    assert "secret-path" not in why


@pytest.mark.parametrize("url", ["http://[x/secret-path", "hooks.example/secret-path"])
def test_an_address_that_is_none_is_told_without_it(url: str) -> None:
    why, again, _ = attempt(NotifySettings(webhook_url=url), Message("webhook", (_trial(),)), 0)

    assert again
    assert why.startswith("an address without a host cannot be asked: ")
    assert "secret-path" not in why


def test_settings_name_the_receivers() -> None:
    assert terms_of(NotifySettings()).receivers == ()
    both = NotifySettings(webhook_url="http://a/b", alertmanager_url="http://c")
    assert terms_of(both).receivers == BOTH
    assert "http://a/b" not in repr(both)


def _trial() -> notices.Notice:
    return notices.trial(T0)


def test_remedies_and_notify_speak_of_the_same() -> None:
    told = (notices.RECEIVERS, notices.ASKED, notices.FIRING, notices.RESOLVED)
    assert told == (definitions.RECEIVERS, telling.NOTIFIED, telling.FIRING, telling.RESOLVED)
