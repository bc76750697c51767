"""notify on a broker: what a remedy asks for is sent, failures are told, a new process goes on."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from schemas.decisions import ActionTaken
from schemas.topics import TOPICS
from streams.embedded.broker import Broker
from streams.entries import Entries
from tests.hosts.worlds import wait_until
from tests.unit.workers.test_notifying import Heard, asked, receiver
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.notifying.loop import TOPIC, run
from workers.registry import Registry
from workers.settings import KafkaSettings, RegistrySettings, Settings
from workers.settings_outside import NotifySettings

pytestmark = pytest.mark.faults


def _now(action: ActionTaken, number: int) -> ActionTaken:
    return replace(action, taken_at=wall_ms(), event_id=f"{action.event_id}-{number}")


@contextmanager
def _running(settings: Settings) -> Iterator[None]:
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=run, args=(settings, stop, ready))
    thread.start()
    try:
        assert ready.wait(60)
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def _said(entries: Entries, kind: str) -> list[ActionTaken]:
    every = [e for e in entries.events(TOPIC) if isinstance(e, ActionTaken)]
    return [one for one in every if one.kind == kind]


def test_notices_are_sent_once_over_a_restart_and_dead_ends_are_told(
    broker: Broker, url: str
) -> None:
    section = KafkaSettings(bootstrap=broker.bootstrap, session_timeout_ms=6000)
    kafka.create_topics(section, [TOPICS[TOPIC]])
    heard = Heard([503, 200, 200, 400])
    with receiver(heard) as place:
        told = NotifySettings(webhook_url=f"{place}/hook", group_s=0.5, webhook_secret="hush")
        settings = Settings(kafka=section, registry=RegistrySettings(url=url), notify=told)
        with closing(Registry(settings.registry)) as known:
            known.register_all((ActionTaken,))
        with Entries(settings) as entries:
            entries.send([_now(asked(number), 1) for number in range(5)])
            with _running(settings):
                wait_until(lambda: bool(_said(entries, "notify.sent")))
            first = json.loads(heard.requests[0][2])
            assert heard.requests[1][2] == heard.requests[0][2]
            assert first["count"] == 5

            entries.send([_now(asked(9), 2)])
            with _running(settings):
                wait_until(lambda: len(_said(entries, "notify.sent")) == 2)
                assert json.loads(heard.requests[2][2])["count"] == 1
                entries.send([_now(asked(10), 3)])
                wait_until(lambda: bool(_said(entries, "notify.failed")))
            (dead,) = _said(entries, "notify.failed")
            assert dead.status == "failed"
            assert "answered 400" in dead.reason
            assert "hush" not in repr(dead)
    assert len(heard.requests) == 4
