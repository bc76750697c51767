"""The stack: ready when it says so, whole again after a crash, and gone without a trace."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import clickhouse_connect
import psutil
import pytest

from schemas.observing import MetricReport
from schemas.registrations import ConsumerRegistered
from schemas.topics import TOPICS
from streams import running
from streams.embedded import incarnation
from streams.embedded import stack as stacks
from streams.embedded.broker import SESSION_MS
from streams.embedded.stack import App, Stack
from streams.entries import Entries
from streams.errors import StackError
from streams.registration import consumer
from streams.running import settings_of_running
from workers.kafka.clients import partition_counts
from workers.registry import Registry
from workers.settings import KafkaSettings, Settings


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def fake(name: str, *arguments: str) -> App:
    return App(name, arguments or ("plain",), module="tests.embedded.fake_app")


def pids(stack: Stack) -> dict[str, int]:
    return {part.name: part.pid for part in stack.state().parts}


def test_it_is_ready_supervises_and_leaves_nothing(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    settings = Settings(data_dir=tmp_path)
    with Stack(settings, apps=(fake("one", "note", str(notes)), fake("two"))) as stack:
        assert stack.ready()
        assert partition_counts(stack.settings.kafka).keys() >= TOPICS.keys()
        registry = Registry(stack.settings.registry)
        assert registry.id_of(MetricReport) is not None
        registry.close()
        house = stack.settings.clickhouse
        client = clickhouse_connect.get_client(host=house.host, port=house.port)
        assert client.command("SELECT 1") == 1
        client.close()
        first = pids(stack)
        assert len(set(first.values())) == 5
        psutil.Process(first["one"]).kill()
        psutil.Process(first["clickhouse"]).kill()
        assert eventually(lambda: not stack.ready())
        assert eventually(stack.ready)
        assert notes.read_text() == "started\n" * 2
        found = running.find(tmp_path)
        assert found is not None
        assert {part.name: part.restarts for part in found.parts}["one"] == 1
        last = pids(stack)
    assert not any(psutil.pid_exists(pid) for pid in {*first.values(), *last.values()})
    assert running.find(tmp_path) is None
    stack.stop()


@pytest.mark.faults
def test_what_does_not_live_or_answer_any_more_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incarnation, "SILENT_S", 0.5)
    monkeypatch.setattr(incarnation, "PROBE_S", 0.2)
    mood = tmp_path / "sulks"
    apps = (fake("frozen"), fake("sulky", "sulky", str(mood)), fake("deaf", "deaf"))
    with Stack(Settings(data_dir=tmp_path), apps=apps) as stack:
        first = pids(stack)
        os.kill(first["frozen"], signal.SIGSTOP)
        mood.touch()
        assert eventually(lambda: pids(stack)["sulky"] != first["sulky"])
        mood.unlink()
        assert eventually(lambda: pids(stack)["frozen"] != first["frozen"] and stack.ready())
        assert pids(stack)["deaf"] == first["deaf"], "it works, whatever it is told"
    assert not any(psutil.pid_exists(pid) for pid in first.values())


def test_a_process_is_renewed_in_place_or_after_its_successor_is_ready(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    overlapping = replace(fake("two", "note", str(notes)), overlap=True)
    with Stack(Settings(data_dir=tmp_path), apps=(fake("one"), overlapping)) as stack:
        first = pids(stack)
        stack.restart("one")
        assert pids(stack)["one"] != first["one"]
        assert not psutil.pid_exists(first["one"])
        (tmp_path / "restarts" / "two").touch()
        assert eventually(lambda: notes.read_text() == "started\n" * 2)
        assert eventually(lambda: pids(stack)["two"] != first["two"])
        assert eventually(lambda: not psutil.pid_exists(first["two"]) and stack.ready())
        assert {part.restarts for part in stack.state().parts} == {0}
        assert pids(stack)["registry"] == first["registry"]
        with pytest.raises(StackError, match="known: broker, registry, clickhouse, one, two"):
            stack.restart("three")


def test_commands_find_the_running_stack(tmp_path: Path) -> None:
    environ = {"WEIR_DATA_DIR": str(tmp_path)}
    assert settings_of_running(environ=environ).kafka.bootstrap == "127.0.0.1:9092"
    with Stack(Settings(data_dir=tmp_path), apps=()) as stack:
        found = settings_of_running(environ=environ)
        assert found.kafka.bootstrap == stack.settings.kafka.bootstrap
        assert found.registry.url == stack.settings.registry.url
        assert found.clickhouse.port == stack.settings.clickhouse.port
        told = settings_of_running(environ=environ | {"WEIR_KAFKA__BOOTSTRAP": "other:1"})
        assert told.kafka.bootstrap == "other:1"
        assert told.registry.url == stack.settings.registry.url
        with pytest.raises(StackError, match="used by another stack"):
            Stack(Settings(data_dir=tmp_path), apps=()).start()
        assert running.find(tmp_path) is not None


def test_what_is_told_stands_and_what_is_not_suits_the_broker(tmp_path: Path) -> None:
    kafka = KafkaSettings(session_timeout_ms=9_000, bootstrap="elsewhere:1")
    told = Stack(Settings(data_dir=tmp_path, kafka=kafka), apps=()).settings.kafka
    assert (told.session_timeout_ms, told.bootstrap.split(":")[0]) == (9_000, "127.0.0.1")
    plain = Stack(Settings(data_dir=tmp_path), apps=()).settings.kafka
    assert plain.session_timeout_ms == SESSION_MS


@pytest.mark.faults
def test_an_app_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    stack = Stack(Settings(data_dir=tmp_path), apps=(fake("fine"), fake("sick", "broken")))
    with pytest.raises(StackError, match=r"sick does not start: it cannot work"):
        stack.start()
    assert not any(part.alive for part in stack.state().parts)


@pytest.mark.faults
def test_a_deaf_app_is_ended_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "GRACE_S", 0.3)
    with Stack(Settings(data_dir=tmp_path), apps=(fake("deaf", "deaf"),)) as stack:
        pid = pids(stack)["deaf"]
    assert not psutil.pid_exists(pid)


def test_it_stops_early_when_the_broker_outgrows_its_bound(tmp_path: Path) -> None:
    with Stack(Settings(data_dir=tmp_path), apps=()) as stack:
        stack.check()
        stack.broker.limit_mib = 1
        with pytest.raises(StackError, match="limit of 1 MiB"):
            stack.wait(60)
        assert not stack.ready()


@pytest.mark.faults
def test_what_was_registered_is_there_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    events = [consumer({"consumer": name, "apps": ["a"]}, 5) for name in ("one", "two")]
    with Stack(settings, apps=(), keep=True) as stack, Entries(stack.settings) as entries:
        entries.send(events)
    with Stack(settings, apps=(), keep=True) as stack, Entries(stack.settings) as entries:
        assert list(entries.of(ConsumerRegistered).values()) == events
        entries.remove(ConsumerRegistered, "one")
        entries.flush()
        assert eventually(lambda: "one" not in (tmp_path / "catalogue.jsonl").read_text())
    with Stack(settings, apps=()) as stack, Entries(stack.settings) as entries:
        assert entries.of(ConsumerRegistered) == {}
    (tmp_path / "catalogue.jsonl").write_text("{}")
    with pytest.raises(StackError, match=r"catalogue\.jsonl, line 1"):
        Stack(settings, apps=(), keep=True).start()


UP = (
    "import sys; from streams.embedded import stack; stack.GRACE_S = 0.3;"
    "deaf = stack.App('deaf', ('deaf',), module='tests.embedded.fake_app');"
    "stack.APPS = (deaf,);"
    "from streams.cli import main; sys.argv[0] = 'weir'; main()"
)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.faults),
        signal.SIGTERM,
        pytest.param(signal.SIGKILL, marks=pytest.mark.faults),
    ],
)
def test_up_ends_with_its_processes(tmp_path: Path, end: signal.Signals) -> None:
    up = subprocess.Popen(
        [sys.executable, "-c", UP, "up", "--data-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    with up:
        assert up.stdout is not None
        lines = []
        for line in up.stdout:
            lines.append(line)
            if line.startswith("ready"):
                break
        state = running.find(tmp_path)
        assert state is not None, "".join(lines)
        assert any(state.bootstrap in line for line in lines)
        assert "deaf" in {part.name for part in state.parts}
        shown = subprocess.run(
            [sys.executable, "-m", "streams.cli", "status", "--json"],
            env=os.environ | {"WEIR_DATA_DIR": str(tmp_path)},
            capture_output=True,
            check=True,
        )
        assert json.loads(shown.stdout)["bootstrap"] == state.bootstrap
        up.send_signal(end)
        rest = up.stdout.read()
        up.wait(60)
    assert up.returncode == (0 if end is not signal.SIGKILL else -signal.SIGKILL), rest
    assert eventually(lambda: not any(psutil.pid_exists(part.pid) for part in state.parts), 10)
    assert running.find(tmp_path) is None
