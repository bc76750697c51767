"""Every verb of every noun over HTTP, each with the id of the event that it has written."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.base import Event
from schemas.decisions import EnsembleMember
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    NodeReported,
    PolicySelected,
    ServiceRegistered,
)
from streams.embedded.broker import Broker
from streams.entries import Entries
from tests.embedded.answering import Caller, ensemble, gateway
from tests.embedded.conftest import Server
from tests.embedded.worker_world import Surroundings, placement
from tests.unit.workers.tiny_models import classifier

BOSS = {"Authorization": "Bearer boss"}
NODE = {
    "node": "hall-1",
    "cpu_milli": 4_000,
    "memory_mib": 2_048,
    "architecture": "amd64",
    "operating_system": "linux",
    "status": "ready",
}
APP = {"app": "hall", "stages": [{"stage": "judge", "services": ["left", "right"]}]}
CONSUMER = {
    "consumer": "guard",
    "apps": ["hall"],
    "modalities": ["image"],
    "priority": 3,
    "rate_per_s": 5.0,
    "burst": 2,
    "share": 0.5,
    "explainable": True,
}
CONTRACT = {"contract": "hall-right", "app": "hall", "clauses": ["accuracy >= 0.9 over 10s"]}
NAMES = {
    "nodes": "hall-1",
    "apps": "hall",
    "services": "left",
    "consumers": "guard",
    "contracts": "hall-right",
    "ensembles": "hall",
    "placements": "left",
}


class Recorded:
    """Calls as the administrator, and notes which of the document's operations were called."""

    def __init__(self, call: Caller) -> None:
        self._call = call
        self.called: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """Call below /v1, `path` with the name in braces; return what was answered."""
        plural = path.split("/")[1]
        self.called.add((method.lower(), f"/v1{path}"))
        found = self._call(method, f"/v1{path}".replace("{name}", NAMES[plural]), body, **BOSS)
        assert found.status == status, (path, found.body)
        return found.plain

    def documented(self) -> set[tuple[str, str]]:
        """Return the operations on nouns that the document has."""
        paths = self._call("GET", "/openapi.json").plain["paths"]
        beginnings = tuple(f"/v1/{plural}" for plural in NAMES)
        return {
            (method, path)
            for path, methods in paths.items()
            for method in methods
            if path.startswith(beginnings) and "infer" not in path
        }


@pytest.fixture
def world(broker: Broker, registry: Server, tmp_path: Path) -> Iterator[Surroundings]:
    made = Surroundings(broker.bootstrap, f"http://127.0.0.1:{registry.port}", tmp_path)
    yield made
    made.close()


def written(entries: Entries, kind: type[Event], event_id: str) -> bool:
    """Tell whether an event of a class and an id stands in the catalogue."""
    return any(getattr(one, "event_id", "") == event_id for one in entries.of(kind).values())


def test_every_verb_of_every_noun_does_what_it_says(world: Surroundings, tmp_path: Path) -> None:
    model = classifier(tmp_path / "left.onnx")
    service = {"service": "left", "app": "hall", "stage": "judge", "artifact": str(model)}
    registered = {
        "nodes": (NodeReported, NODE),
        "apps": (ApplicationRegistered, APP),
        "services": (ServiceRegistered, service),
        "consumers": (ConsumerRegistered, CONSUMER),
        "contracts": (ContractRegistered, CONTRACT),
    }
    with (
        gateway(world.settings, admin_token=SecretStr("boss")) as call,
        Entries(world.settings) as entries,
    ):
        do = Recorded(call)
        for plural, (kind, body) in registered.items():
            made = do("POST", f"/{plural}", body, status=201)
            assert (made["name"], made["changed"]) == (NAMES[plural], True)
            assert written(entries, kind, made["event_id"]), plural
            again = do("POST", f"/{plural}", body)
            assert (again["changed"], again["event_id"]) == (False, made["event_id"]), plural
        token = do("POST", "/consumers/{name}/token", status=201)
        assert written(entries, ConsumerRegistered, token["event_id"])

        members = (EnsembleMember(service="left", weight=1.0, role="member"),)
        chosen = replace(ensemble(), app="hall", event_id="hall-1", members=members)
        world.send(chosen, placement("left", "hall-1"))
        for plural in NAMES:
            listed = do("GET", f"/{plural}")[plural]
            assert do("GET", f"/{plural}/{{name}}") in listed
            assert call("GET", f"/v1/{plural}/nobody", **BOSS).status == 404, plural
            assert call("GET", f"/v1/{plural}").status == 401, plural
        known = do("GET", "/consumers/{name}")
        assert {field: known[field] for field in CONSUMER} == CONSUMER

        switches = [f"/{of}/{{name}}" for of in ("apps", "nodes")] + ["/placements"]
        for path in switches:
            on = do("POST", f"{path}/pause", {"reason": "a test"})
            assert (on["on"], on["changed"]) == (True, True)
            assert written(entries, PolicySelected, on["event_id"])
            assert do("POST", f"{path}/pause")["changed"] is False
            off = do("POST", f"{path}/resume")
            assert (off["on"], off["changed"]) == (False, True)
            assert written(entries, PolicySelected, off["event_id"])
        for verb, body in (("pin", {"services": ["left"]}), ("unpin", {})):
            done = do("POST", f"/ensembles/{{name}}/{verb}", body)
            assert written(entries, PolicySelected, done["event_id"])

        for plural in ("contracts", "consumers", "services", "nodes", "apps"):
            gone = do("DELETE", f"/{plural}/{{name}}")
            assert gone["event_id"] in gone["event_ids"]
            do("GET", f"/{plural}/{{name}}", status=404)
        assert do.called == do.documented()
