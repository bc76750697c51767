"""SIGTERM ends every kind of process well: all work committed, groups left, within 10 s."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.decisions import DeadLetter
from streams import topology
from streams.embedded.processes import free_port, listens
from streams.topology import Host
from tests.hosts.worlds import LOGS, KafkaWorld, cluster_of, kafka_world, wait_until
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.kafka.groups import Group, groups
from workers.registry import Registry
from workers.settings import (
    ClickHouseSettings,
    LocalSettings,
    NodeSection,
    RegistrySettings,
    Settings,
)
from workers.settings_outside import NarrateSettings, NotifySettings

WEIR = (sys.executable, "-m", "streams.cli")
BATCH = tuple(name for name, place in topology.PROCESSORS.items() if place.host is Host.BATCH)
FAUST = tuple(name for name, place in topology.PROCESSORS.items() if place.host is Host.FAUST)
KINDS = {
    "data": ("run", *(name for name in BATCH if name != "route")),
    "route": ("run", "route"),
    "control": ("run", "control"),
    "sink": ("run", "sink"),
    "worker": ("worker", "--node", "left", "--worker", "left-1"),
}
OTHERS = {
    "edge": {
        "gateway": ("gateway", "--port", "0"),
        "agent": ("agent", "run", "--node", "right"),
        "intake": ("intake", "run", "--port", "0"),
        "notify": ("run", "notify"),
        "narrate": ("run", "narrate"),
    },
    "apps": {name: ("run", name) for name in topology.APPS if name != "control"},
}
"""What else may run, with nothing to do: processes of the edge, and each Faust app by itself."""
GARBAGE = b"this is no event"
EACH = 3
LIMIT_S = 10.0


@dataclass
class Running:
    """A process, where it writes, and where it says that it is ready."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    port: int

    def ready(self) -> bool:
        """Ask it, and fail when it has ended."""
        assert self.process.poll() is None, self.log.read_text("utf-8")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def started(folder: Path, settings: Settings, **named: Sequence[str]) -> Iterator[list[Running]]:
    """Start processes; whatever is left of them at the end is killed."""
    running: list[Running] = []
    try:
        for name, arguments in named.items():
            port, log = free_port(), folder / f"{name}.log"
            environment = os.environ | settings.environment()
            command = [*arguments, "--health-port", str(port)]
            if name == "worker":
                environment["WEIR_WORKER__METRICS_PORT"] = str(port)
                command = [*arguments]
            elif name in ("registry", "clickhouse"):
                command = [*arguments, "--port", str(port)]
            with log.open("wb") as output:
                process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            running.append(Running(name, process, log, port))
        yield running
    finally:
        for each in running:
            each.process.kill()
            each.process.wait()


def await_all(running: Sequence[Running]) -> None:
    """Wait until all are ready, a minute at most: five interpreters start at once."""
    patience = time.monotonic() + 60
    while late := [each.name for each in running if not each.ready()]:
        assert time.monotonic() < patience, late
        time.sleep(0.2)


def end_all(running: Sequence[Running]) -> None:
    """Send SIGTERM to all; each must end well, within 10 s, and have nothing to complain of."""
    begun = time.monotonic()
    for each in running:
        each.process.send_signal(signal.SIGTERM)
    for each in running:
        code = each.process.wait(LIMIT_S)
        text = each.log.read_text("utf-8")
        assert code == 0, (each.name, text)
        assert "Traceback" not in text, (each.name, text)
    assert time.monotonic() - begun < LIMIT_S


@pytest.fixture(params=[pytest.param(log, marks=pytest.mark.faults) for log in LOGS])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path, cluster_of(request)) as made:
        yield made


def read_by() -> Mapping[str, tuple[str, ...]]:
    """Return the inputs of every processor."""
    return {name: topology.spec_named(name).inputs for name in topology.PROCESSORS}


def refused(world: KafkaWorld) -> dict[str, int]:
    """Return how many dead letters each processor has written."""
    found: dict[str, int] = {}
    registry = Registry(world.settings.registry)
    for message in kafka_reading.read_all(world.settings.kafka, ["weir.deadletters"]):
        letter = registry.codec().decode(message.value() or b"", DeadLetter)
        found[letter.processor] = found.get(letter.processor, 0) + 1
    registry.close()
    return found


def committed(world: KafkaWorld, processor: str) -> dict[str, int]:
    """Return how much of each input the processor's group has committed, once nobody is in it.

    The embedded broker calls every group stable, and names no members.
    """
    found = left(world, "weir-control" if processor in FAUST else f"weir-{processor}")
    return {
        topic: sum(offset for place, offset in found.committed.items() if place[0] == topic)
        for topic in read_by()[processor]
    }


def left(world: KafkaWorld, group: str) -> Group:
    """Return a group in which nobody is any more."""
    found = groups(world.settings.kafka, [group])[group]
    nobody = found.state in ("EMPTY", "DEAD") or (
        found.state == "STABLE" and kafka.cluster_id(world.settings.kafka).startswith("weir-")
    )
    assert nobody, f"{group} was not left: its successor would have to wait"
    return found


@contextmanager
def served(world: KafkaWorld, folder: Path) -> Iterator[Sequence[Running]]:
    """Run a registry that knows all events and ClickHouse; the settings name them."""
    servers = {
        name: (sys.executable, "-m", f"streams.embedded.{name}", *more)
        for name, more in (("registry", ()), ("clickhouse", ("--path", str(folder / "ch"))))
    }
    with started(folder, world.settings, **servers) as (registry, clickhouse):
        wait_until(lambda: listens(registry.port) and listens(clickhouse.port))
        url = RegistrySettings(url=f"http://127.0.0.1:{registry.port}")
        world.settings = world.settings.model_copy(
            update={
                "data_dir": folder,
                "local": LocalSettings(nodes=(NodeSection(name="n", cpu_milli=9, memory_mib=9),)),
                "registry": url,
                "clickhouse": ClickHouseSettings(port=clickhouse.port),
                "notify": NotifySettings(webhook_url="http://127.0.0.1:9/"),
                "narrate": NarrateSettings(url="http://127.0.0.1:9/", model="none"),
            }
        )
        made = Registry(url)
        made.register_all()
        made.close()
        yield registry, clickhouse


def commands(kinds: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {name: (*WEIR, *arguments) for name, arguments in kinds.items()}


def test_every_kind_of_process_drains_commits_and_leaves(world: KafkaWorld, tmp_path: Path) -> None:
    with served(world, tmp_path) as servers:
        with started(tmp_path, world.settings, **commands(KINDS)) as apps:
            await_all(apps)
            wanted = {name: EACH * len(inputs) for name, inputs in read_by().items()}
            for topic in {topic for inputs in read_by().values() for topic in inputs}:
                for _ in range(EACH):
                    world.produce_raw(topic, GARBAGE)
            wait_until(lambda: wanted.items() <= refused(world).items())
            end_all(apps)
        for name in read_by():
            least = min(committed(world, name).values())
            assert least >= EACH, name  # a worker writes metrics besides
        end_all(servers)


@pytest.mark.parametrize("kinds", OTHERS.values(), ids=OTHERS)
def test_every_other_kind_of_process_ends_as_soon(
    world: KafkaWorld, tmp_path: Path, kinds: Mapping[str, Sequence[str]]
) -> None:
    with served(world, tmp_path), started(tmp_path, world.settings, **commands(kinds)) as others:
        await_all(others)
        end_all(others)
        for name in kinds:
            left(world, f"weir-{name}")
