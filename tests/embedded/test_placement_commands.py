"""Nodes, services, decisions and what may be done with them, as a user does it with commands."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from placement.authority import Limits, ruling
from placement.control.controller import spec
from placement.rollout.canary import spec as canaries
from schemas.decisions import ActionTaken, PlacementDecided, PlacementRequested
from schemas.partitioning import partition_of
from schemas.processing import Batch, Record
from schemas.registrations import (
    ApplicationRegistered,
    NodeReported,
    PolicySelected,
    ServiceRegistered,
)
from schemas.topics import PARTITIONS
from streams.actuating.actuate import WORKERS
from streams.entries import Entries
from streams.running import State, remove, write
from tests.commanding import command
from tests.embedded.conftest import installed
from workers.settings import Settings

Weir = Callable[..., "subprocess.CompletedProcess[str]"]
KINDS = (
    *(NodeReported, ServiceRegistered, PlacementDecided, PolicySelected),
    ApplicationRegistered,
)
NODE = """
node = "bench-1"
cpu_milli = 1000
memory_mib = 1024
gpus = [{index = 0, model = "T4", memory_mib = 16384}]
links = [{node = "bench-2", mbps = 100, latency_ms = 1.5}]
"""
CLAUSE = ("--clause", "accuracy >= 0.9 over 10s")
SERVICE = {"app": "yard", "stage": "one", "image": "docker.io/team/s:1", "memory_mib": 64}
SERVICES = [
    SERVICE | {"service": "small", "cpu_milli": 100, "owner": "alice"},
    SERVICE | {"service": "large", "cpu_milli": 5000, "priority": 5},
]


class Installation:
    """A broker and a registry without any process of Weir; place is asked by hand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._place = spec().build(0)
        self._next = 0

    def decide(self) -> None:
        """Let place answer what was asked of it since, as its host does."""
        with Entries(self.settings) as entries:
            asked = [e for e in entries.events("weir.control") if isinstance(e, PlacementRequested)]
            now = time.time_ns() // 1_000_000
            records = tuple(
                Record(event, "weir.control", 0, offset, now) for offset, event in enumerate(asked)
            )[self._next :]
            self._next = len(asked)
            batch: Any = Batch(records, now, entries.catalogue(*KINDS))
            entries.send(self._place.process(batch))  # type: ignore[arg-type]  # events, not directed

    def ruled(self, service: str) -> PlacementDecided | None:
        """Return what actuators would carry out of a service."""
        with Entries(self.settings) as entries:
            known = entries.catalogue(*KINDS)
        told = known.of(PlacementDecided)[service]
        return ruling(told, known, Limits(registries=("docker.io/team",))).decided

    def deeds(self, kind: str) -> list[ActionTaken]:
        with Entries(self.settings) as entries:
            found = entries.events("weir.actions")
        return [e for e in found if isinstance(e, ActionTaken) and e.kind == kind]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("installation")) as settings:
        yield Installation(settings)


@pytest.fixture
def alice(installation: Installation) -> Weir:
    """Return the command line of the one who owns a service."""
    environ = installation.settings.environment() | {"WEIR_IDENTITY__USER": "alice"}
    return partial(command, environ=environ)


@pytest.fixture
def weir(installation: Installation) -> Weir:
    environ = installation.settings.environment() | {"COLUMNS": "250"}
    return partial(command, environ=environ)


def told(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(done: "subprocess.CompletedProcess[str]", why: str) -> None:
    assert (done.returncode, why in done.stderr) == (4, True), done.stderr


@contextmanager
def running(folder: Path, settings: Settings, node: str) -> Iterator[None]:
    """Let this process stand for a stack that runs, and for the worker of a node."""
    (folder / WORKERS).mkdir(parents=True)
    own = psutil.Process()
    record = {"node": node, "worker": f"{node}-1", "pid": own.pid, "created": own.create_time()}
    (folder / WORKERS / f"{node}-1.json").write_text(json.dumps(record))
    write(
        State(
            pid=own.pid,
            started=own.create_time(),
            ready=True,
            bootstrap=settings.kafka.bootstrap,
            registry=settings.registry.url,
            clickhouse_host="",
            clickhouse_port=0,
            limit_mib=0,
            data_dir=str(folder),
        )
    )
    yield
    remove(folder)


def registered(weir: Weir, folder: Path) -> None:
    """Register one node and two services, of which one has no room; ask for both."""
    node, services = folder / "node.toml", folder / "services.json"
    node.write_text(NODE)
    services.write_text(json.dumps({"services": SERVICES}))
    assert told(weir("nodes", "register", "-f", str(node), "--json"))["nodes"] == ["bench-1"]
    done = told(weir("services", "register", "-f", str(services), "--place", "--json"))
    assert [one["service"] for one in done["services"]] == ["small", "large"]


def test_from_registration_to_a_recommendation_that_is_let_happen(
    installation: Installation, weir: Weir, alice: Weir, tmp_path: Path
) -> None:
    registered(weir, tmp_path)
    (node,) = told(weir("nodes", "list", "--json"))
    assert (node["status"], node["source"], node["gpus"]) == ("ready", "operator", 1)
    assert told(weir("nodes", "get", "bench-1"))["links"][0]["latency_ms"] == 1.5
    waits = told(weir("placement", "queue", "--json"))
    assert [one["service"] for one in waits] == ["large", "small"]
    assert "place has not answered yet" in waits[0]["why"]
    picture = tmp_path / "plan.svg"
    plan = told(weir("placement", "plan", "--json", "--picture", str(picture)))
    assert [(one["service"], one["status"]) for one in plan] == [
        ("large", "unplaceable"),
        ("small", "placed"),
    ]
    assert plan[0]["rejections"] == [{"constraint": "cpu", "nodes": 1}]
    assert "small: 100 m" in picture.read_text("utf-8")
    installation.decide()
    (waits,) = told(weir("placement", "queue", "--json"))
    assert (waits["service"], waits["copies"], waits["priority"]) == ("large", 1, 5)
    assert installation.ruled("small") is None, "it is only recommended"
    refused(weir("placement", "apply", "small", "--generation", "7"), "is generation 1")
    refused(weir("placement", "apply", "small"), "small belongs to alice")
    assert told(weir("placement", "mode", "--json")) == [{"app": "(others)", "mode": "recommend"}]
    assert told(alice("placement", "apply", "small", "--json"))["changed"]
    assert not told(alice("placement", "apply", "small", "--json"))["changed"]
    carried = installation.ruled("small")
    assert carried is not None
    assert [one.node for one in carried.assignments] == ["bench-1"]
    (history,) = told(weir("placement", "history", "small", "--json"))
    assert (history["generation"], history["nodes"]) == (1, ["bench-1"])
    assert "placement.apply small done" in history["deeds"]
    why = told(weir("placement", "explain", "large", "--json"))
    assert (why["status"], why["agrees"], why["generation"]) == ("unplaceable", True, 1)
    (lacks,) = why["nodes"]
    assert (lacks["node"], lacks["constraint"], lacks["needed"]) == ("bench-1", "cpu", 5000.0)
    shown = weir("placement", "explain", "small", "--generation", "1")
    assert "chosen" in shown.stdout, shown.stderr
    assert shown.stderr == "", "it comes to what was decided"
    refused(weir("placement", "explain", "small", "--generation", "9"), "it holds 1")
    (refusal,) = installation.deeds("service.refused")
    assert (refusal.status, refusal.policy, refusal.target) == ("refused", "owners", "small")


def test_freeze_pause_and_drain_hold_until_they_are_ended(
    installation: Installation, weir: Weir, alice: Weir, tmp_path: Path
) -> None:
    registered(weir, tmp_path)
    assert told(weir("placement", "mode", "act", "--json"))["changed"]
    installation.decide()
    assert installation.ruled("small") is not None
    assert told(weir("freeze", "--reason", "repairs", "--json"))["changed"]
    assert not told(weir("freeze", "--json"))["changed"]
    assert installation.ruled("small") is None
    refused(alice("placement", "apply", "small"), "deeds are frozen: repairs; `weir unfreeze` ends")
    with running(tmp_path / "data", installation.settings, "bench-1"):
        renewed = weir("restart", "bench-1", "--data-dir", f"{tmp_path / 'data'}")
    assert renewed.returncode != 0
    assert "no worker is renewed in a freeze (repairs); `weir unfreeze` ends" in renewed.stderr
    told(weir("apps", "register", "kept", "--json"))
    refused(weir("apps", "remove", "kept"), "deeds are frozen: repairs")
    assert weir("apps", "get", "kept").returncode == 0
    refused(weir("freeze", "--app", "kpet"), "no application 'kpet'; registered: ")
    assert "everything is frozen still" in weir("unfreeze", "--app", "kept").stderr
    assert told(weir("unfreeze", "--json"))["changed"]
    assert installation.ruled("small") is not None
    assert [one.status for one in installation.deeds("placement.apply")][-1] == "refused"
    assert told(weir("nodes", "drain", "bench-1", "--json"))["on"]
    assert "draining" in weir("nodes", "list").stdout
    weir("placement", "pause", "--reason", "night")
    weir(
        "services", "register", "-f", f"{tmp_path / 'services.json'}", "--replicas", "2", "--place"
    )
    installation.decide()
    waits = {one["service"]: one for one in told(weir("placement", "queue", "--json"))}
    assert "placement is paused" in waits["small"]["why"]
    weir("placement", "resume")
    installation.decide()
    (newest,) = told(weir("placement", "history", "small", "--last", "1", "--json"))
    assert (newest["status"], newest["copies"]) == ("partial", "1 of 2"), "it drains, so none more"
    assert told(weir("nodes", "undrain", "bench-1", "--json"))["changed"]


def test_what_cannot_be_registered_is_refused_in_one_line(
    installation: Installation, weir: Weir, alice: Weir, tmp_path: Path
) -> None:
    file = tmp_path / "nodes.json"
    heard = time.time_ns() // 1_000_000
    plain = {"node": "heard", "cpu_milli": 1000, "memory_mib": 1024}
    file.write_text(json.dumps([plain, plain]))
    refused(weir("nodes", "register", "-f", str(file)), "nodes[0] (heard) names it too")
    more = {"architecture": "", "operating_system": "", "status": "ready"}
    own = NodeReported(**plain, **more, heartbeat=heard, expires_at=heard + 60_000, source="agent")
    with Entries(installation.settings) as entries:
        entries.send([own])
    file.write_text(json.dumps(plain))
    refused(weir("nodes", "register", "-f", str(file)), "node heard reports itself (agent)")
    refused(weir("nodes", "drain", "nowhere"), "no node 'nowhere'")
    assert weir("nodes", "register").returncode == 2
    assert weir("nodes", "remove", "heard").returncode == 0
    app = ("apps", "register", "yard", "--json")
    assert told(weir(*app, "--owner", "alice"))["changed"] == ["yard"]
    refused(weir(*app, "--owner", "bob"), "application yard belongs to alice; bob may not")
    refused(weir("services", "remove", "large"), "large belongs to alice; nobody by name")
    with Entries(installation.settings) as entries:
        policy = PolicySelected(
            scope="takes/large",
            component="place",
            algorithm="observed",
            selected_at=heard,
            event_id="takes-large",
        )
        entries.send([policy, replace(policy, scope="avoid/large/bench-1")])
    gone = alice("services", "remove", "large")
    assert "and its policies avoid/large/bench-1, takes/large" in gone.stdout, gone.stderr
    with Entries(installation.settings) as entries:
        assert not [s for s in entries.of(PolicySelected) if "large" in s]
    told(
        weir(
            "contracts", "register", "hers", "--app", "yard", *CLAUSE, "--owner", "alice", "--json"
        )
    )
    theirs, clause = tmp_path / "theirs.toml", 'name = "n"\nmetric = "accuracy"\nstatistic = "mean"'
    clause += '\noperator = ">="\nthreshold = 0.1\nwindow_ms = 1000\n'
    for table, what in (
        ('[[services]]\nservice = "small"\nstage = "s"\nimage = "i"\n', "service small"),
        (f'[[contracts]]\ncontract = "hers"\n[[contracts.clauses]]\n{clause}', "contract hers"),
    ):
        theirs.write_text(table)
        others = weir("apps", "register", "mallorys", "--owner", "mallory", "--file", str(theirs))
        refused(others, f"{what} belongs to alice; mallory may not")
    assert [one.target for one in installation.deeds("application.refused")] == ["yard"]


@pytest.mark.faults
def test_policies_and_new_versions_are_asked_for_by_commands(
    installation: Installation, weir: Weir, tmp_path: Path
) -> None:
    many: dict[str, Any] = {"service": "many", "cpu_milli": 1, "app": "farm", "stage": "one"}
    many |= {"image": "docker.io/team/s:1", "memory_mib": 1}
    variants = [{"name": name, "precision": "fp32", "device": "cpu"} for name in ("v1", "v2")]
    file = tmp_path / "many.json"
    file.write_text(json.dumps({"services": [many | {"variants": variants}]}))
    told(weir("services", "register", "-f", str(file), "--json"))
    own = ("--set", "move.rebalance=1", "--set", "queue=age")
    told(weir("placement", "policy", "--algorithm", "fgd", *own, "--json"))
    shown = told(weir("placement", "policy", "--unset", "queue", "--json"))
    assert [(one["name"], one["value"]) for one in shown] == [
        ("algorithm", "fgd"),
        ("move.rebalance", "1"),
        ("scope", "place"),
    ]
    refused(weir("placement", "policy", "--algorithm", "luck"), "no algorithm 'luck'")
    refused(weir("placement", "policy", "--app", "ghost", "--set", "queue=age"), "'ghost'")
    refused(weir("placement", "mode", "act", "--app", "ghost"), "no application 'ghost'")
    refused(weir("placement", "policy", "--set", "move.budget=x"), "it must be from 0 to 1000")
    refused(weir("placement", "canary", "none", "--variant", "v2"), "no service 'none'")
    told(weir("placement", "canary", "many", "--variant", "v2", "--json"))
    with Entries(installation.settings) as entries:
        known = entries.catalogue(*KINDS)
    partition = partition_of("farm", PARTITIONS)
    now = time.time_ns() // 1_000_000
    (said,) = canaries().build(partition).process(Batch((), now, known))  # type: ignore[arg-type]  # it takes batches
    assert isinstance(said, ActionTaken)
    assert said.reason == "v2 of many: to compare takes 2 copies"
    assert told(weir("placement", "canary", "many", "--withdraw", "--json"))["withdrawn"]
    refused(weir("placement", "canary", "many", "--withdraw"), "no new version on its way")
