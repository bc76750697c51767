"""Ensembles as a user sees, pins and compares them, with select hosted by hand on a broker."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from schemas.decisions import EnsembleSelected
from schemas.processing import Batch
from schemas.records import KeyValue
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    InstanceReported,
    PolicySelected,
    ServiceRegistered,
)
from streams.entries import Entries
from streams.topology import spec_named
from tests.commanding import command
from tests.embedded.conftest import installed
from tests.unit.processors import selecting_cases as cases
from workers.settings import Settings

Weir = Callable[..., "subprocess.CompletedProcess[str]"]
KINDS = (
    *(ApplicationRegistered, ServiceRegistered, ContractRegistered, InstanceReported),
    *(EnsembleSelected, PolicySelected, ConsumerRegistered),
)
pytestmark = pytest.mark.faults


class Installation:
    """A broker and a registry; select is asked by hand, at an hour of its own that goes on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._select: Any = spec_named("select").build(cases.PARTITION)
        self._now = time.time_ns() // 1_000_000

    def send(self, *events: Any) -> None:
        with Entries(self.settings) as entries:
            entries.send(events)

    def select(self) -> None:
        """Let select look twice, so far apart that what is new has settled."""
        for _ in range(2):
            self._now += 3_000
            with Entries(self.settings) as entries:
                known = entries.catalogue(*KINDS)
                entries.send(self._select.process(Batch((), self._now, known)))


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("ensembles")) as settings:
        yield Installation(settings)


@pytest.fixture
def weir(installation: Installation) -> Weir:
    environ = installation.settings.environment() | {"COLUMNS": "250"}
    return partial(command, environ=environ)


def told(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_ensemble_is_listed_explained_pinned_let_go_and_selected_by_another_algorithm(
    installation: Installation, weir: Weir
) -> None:
    services = [cases.service(name) for name in cases.DECLARED]
    installation.send(cases.application(), cases.contract(), *services)
    installation.select()
    (first,) = told(weir("ensembles", "list", "--json"))
    assert (first["app"], first["members"], first["algorithm"]) == ("digits", ["bayes"], "weir")
    why = told(weir("ensembles", "explain", "digits", "--json"))
    assert {part["objective"] for part in why["scores"]} == {"accuracy", "latency", "cost"}
    assert why["alternatives"]
    shown = weir("ensembles", "explain", "digits").stdout
    assert "first selection" in shown
    assert "runner-up" in shown

    refused = weir("ensembles", "pin", "digits", "ghost")
    assert (refused.returncode, "no service of digits 'ghost'" in refused.stderr) == (4, True)
    pinned = told(weir("ensembles", "pin", "digits", "svm", "tree", "--json"))
    assert pinned["scope"] == "select/digits"
    installation.select()
    (second,) = told(weir("ensembles", "list", "--json"))
    assert (second["members"], second["pinned"]) == (["svm", "tree"], "yes")
    assert weir("ensembles", "unpin", "digits").returncode == 0

    by = weir("ensembles", "policy", "digits", "--algorithm", "accuracy", "--set", "size=2")
    assert by.returncode == 0
    installation.select()
    (third,) = told(weir("ensembles", "list", "--json"))
    assert (third["members"], third["algorithm"]) == (["forest", "svm"], "accuracy")
    strange = weir("ensembles", "policy", "digits", "--algorithm", "astrology")
    assert (strange.returncode, "no algorithm 'astrology'" in strange.stderr) == (4, True)

    for asked in ("policy ghost --set size=2", "policy ghost", "pin ghost a"):
        missing = weir("ensembles", *asked.split())
        assert (missing.returncode, "no application 'ghost'" in missing.stderr) == (4, True)

    rows = told(weir("ensembles", "compare", "digits", "--json"))
    found = {row["algorithm"]: row["members"] for row in rows}
    assert found["accuracy"] == ["forest", "svm"]
    assert len(found) >= 14
    assert not any(row["failed"] for row in rows)
    profiles = told(weir("ensembles", "profiles", "digits", "--json"))
    assert {one["service"] for one in profiles} == set(cases.DECLARED)


def test_what_is_known_of_members_is_told_by_node_variant_and_instance(
    installation: Installation, weir: Weir
) -> None:
    services = [cases.service(name) for name in cases.DECLARED]
    installation.send(cases.application(), cases.contract(), *services)
    assert weir("ensembles", "pin", "digits", "svm").returncode == 0
    installation.select()
    now = time.time_ns() // 1_000_000
    where = {"service": "svm", "instance": "svm.a", "node": "a", "stage": "classify"}
    runs = (KeyValue(key="variant", value="int8"),)
    installation.send(
        replace(cases.broken("svm", health="ready"), metadata=runs),
        replace(cases.observation("latency", now, 6.5, **where), emitted_at=now + 1_200),
    )
    asked = weir("ensembles", "explain", "digits", "--profiles", "--json")
    (seen,) = [one for one in told(asked)["profiles"] if one["instance"]]
    assert (seen["instance"], seen["variant"], seen["node"]) == ("svm.a", "int8", "a")
    assert (seen["results"], seen["p99_ms"]) == (40, 6.5)
    assert "int8" in weir("ensembles", "profiles", "digits").stdout

    right = cases.observation("accuracy.condition.light=night", now, 0.5, service="svm")
    installation.send(replace(right, emitted_at=now + 1_200))
    rows = told(weir("ensembles", "profiles", "digits", "--conditions", "--json"))
    known = {row["service"]: row for row in rows}
    assert {row["condition"] for row in rows} == {"light=night"}
    assert (known["svm"]["judged"], known["tree"]["judged"]) == (40, 0)
    assert known["svm"]["accuracy"] < known["tree"]["accuracy"]
    assert 0 < known["svm"]["error"] < known["tree"]["error"]
    assert "light=night" in weir("ensembles", "profiles", "digits", "--conditions").stdout
    both = weir("ensembles", "profiles", "digits", "--conditions", "--batches")
    assert (both.returncode, "--batches or --conditions" in both.stderr) == (2, True)
    nowhere = weir("ensembles", "profiles", "digits", "--batches")
    assert (nowhere.returncode, "ClickHouse" in nowhere.stderr) == (3, True)
