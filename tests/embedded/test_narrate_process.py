"""narrate on a broker: diagnoses become prose, once over a restart, and commands show both."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from schemas.observing import QualityEvaluated
from schemas.quality import DiagnosisNarrated
from schemas.topics import TOPICS
from streams.cli import app
from streams.embedded.broker import Broker
from streams.entries import Entries
from tests.hosts.worlds import wait_until
from tests.unit.workers.chat_server import completion, serving
from tests.unit.workers.test_narrating import diagnosed
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.narrating.loop import INPUT, OUTPUT, run
from workers.registry import Registry
from workers.settings import KafkaSettings, RegistrySettings, Settings
from workers.settings_outside import NarrateSettings

pytestmark = pytest.mark.faults


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


def _said(number: int) -> QualityEvaluated:
    now = wall_ms()
    return replace(diagnosed(number), evaluated_at=now, since=now - 9_000, severity="critical")


def _told(entries: Entries) -> dict[str, DiagnosisNarrated]:
    found = entries.events(OUTPUT)
    return {e.diagnosis: e for e in found if isinstance(e, DiagnosisNarrated)}


def test_diagnoses_are_told_once_and_shown(
    broker: Broker, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = KafkaSettings(bootstrap=broker.bootstrap, session_timeout_ms=6000)
    kafka.create_topics(section, [TOPICS[INPUT], TOPICS[OUTPUT]])
    with serving() as server:
        server.answers = [(503, {}), completion("Edge-2 is slow."), (401, {})]
        terms = NarrateSettings(url=server.url, model="tiny", attempts=2, timeout_s=5.0)
        settings = Settings(kafka=section, registry=RegistrySettings(url=url), narrate=terms)
        with closing(Registry(settings.registry)) as known:
            known.register_all((QualityEvaluated, DiagnosisNarrated))
        with Entries(settings) as entries:
            entries.send([_said(1)])
            with _running(settings):
                wait_until(lambda: "diagnosis 1" in _told(entries))
            entries.send([_said(1), _said(2)])
            with _running(settings):
                wait_until(lambda: "diagnosis 2" in _told(entries))
            told = _told(entries)
        assert [told[f"diagnosis {n}"].status for n in (1, 2)] == ["told", "refused"]
        assert len(server.requests) == 3

    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    listed = CliRunner().invoke(app, ["diagnose", "list", "--app", "digits", "--json"])
    assert listed.exit_code == 0, listed.output
    rows = json.loads(listed.stdout)
    assert [(row["cause"], row["name"], row["told"]) for row in rows] == [
        ("node", "edge-2", "told"),
        ("node", "edge-2", "refused"),
    ]
    shown = CliRunner().invoke(app, ["diagnose", "show", "diagnosis 1"])
    assert shown.exit_code == 0, shown.output
    for words in ("Edge-2 is slow.", "latency rose", "evidence for 1: o1", "lasts"):
        assert words in shown.output
    whole = CliRunner().invoke(app, ["diagnose", "show", "--json"])
    assert json.loads(whole.stdout)["narrative"]["status"] == "refused"
    nobody = CliRunner().invoke(app, ["diagnose", "show", "unheard-of"])
    assert "no diagnosis begins with 'unheard-of'" in str(nobody.exception)
