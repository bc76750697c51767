"""What is kept of a person goes when it is asked for; others' stays, and late comers go too."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import polars as pl
import pytest

from schemas.base import Event
from schemas.inference import GroundTruth, InferenceRequest, InferenceResponse, InferenceResult
from schemas.registrations import ErasureRequested
from streams.errors import RegistrationError
from streams.privacy import erasure
from tests.clickhouse.messages import CLUSTER, rows, stood, store
from tests.examples import codec, example
from workers.clickhouse import Database
from workers.client import tensors
from workers.payloads.store import PayloadStore
from workers.settings_outside import PrivacySettings
from workers.sinking.erasing import Erasing, redacted
from workers.sinking.storing import Storing

P = ParamSpec("P")
T = TypeVar("T")
NOW = 2_000_000_000_000


@pytest.fixture
def payloads(tmp_path: Path) -> PayloadStore:
    return PayloadStore(tmp_path, 1 << 20, 3600.0)


def at_once(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return action(*args, **kwargs)


def request(name: str, user: str, at: int = NOW - 1000, app: str = "gate") -> InferenceRequest:
    inputs = tensors({"x": pl.Series([1.0, 2.0]).to_numpy()})
    known = example(InferenceRequest)
    return replace(
        known, request_id=name, user=user, app=app, inputs=inputs, created_at=at, deadline=at + 10
    )


def came_of(name: str) -> list[Event]:
    return [
        replace(example(InferenceResult), request_id=name, event_id=f"result {name}"),
        replace(example(InferenceResponse), request_id=name, event_id=f"response {name}"),
        replace(example(GroundTruth), request_id=name),
    ]


def ids(database: Database, table: str) -> list[str]:
    found = database.query(f"SELECT request_id FROM {table} FINAL ORDER BY request_id")
    return [str(row[0]) for row in found.rows]


def test_a_person_is_forgotten_and_nobody_else(database: Database, payloads: PayloadStore) -> None:
    payloads.put(b"a face", "ann")
    known = [("a1", "ann"), ("a2", "ann"), ("b1", "bob"), ("n1", "")]
    store(database, *(request(name, user) for name, user in known))
    for number, (name, _) in enumerate(known):
        for event in came_of(name):
            store(database, event, first=number)
    store(database, request("a3", "ann", at=NOW + 5_000), first=10)
    erasing = Erasing(database, payloads, PrivacySettings())
    storing = Storing(database, codec(), CLUSTER, at_once, lambda _: None, erase=erasing.stored)
    asked = erasure("ann", "", NOW, "she asked", NOW)
    storing.store([stood(asked, 0)], {"weir.erasures": 1})
    for table in ("results", "responses", "labels"):
        assert ids(database, table) == ["b1", "n1"]
    left = database.query(
        "SELECT request_id, user, length(inputs), length(conditions) FROM requests ORDER BY 1"
    ).rows
    gone = f"erased:{asked.event_id}"
    assert left == (
        *(("a1", gone, 0, 0), ("a2", gone, 0, 0), ("a3", "ann", 1, 2)),
        *(("b1", "bob", 1, 2), ("n1", "", 1, 2)),
    )
    assert payloads.kept() == [], "her payload is gone, too"

    store(database, came_of("a1")[1], first=20)
    store(database, request("a2", "ann"), first=1)
    erasing.all()
    assert ids(database, "responses") == ["b1", "n1"], "what comes later goes too"
    names = database.query("SELECT DISTINCT user FROM requests WHERE request_id = 'a2'").rows
    assert names == ((gone,),), "and what is read again"


def test_an_erasure_may_concern_one_application(database: Database, payloads: PayloadStore) -> None:
    store(database, request("a1", "ann"), request("a2", "ann", app="other"))
    store(database, *(came_of("a1")[1], came_of("a2")[1]))
    store(database, erasure("ann", "gate", NOW, "", NOW))
    Erasing(database, payloads, PrivacySettings()).all()
    assert ids(database, "responses") == ["a2"]


def test_what_is_too_old_goes(database: Database, payloads: PayloadStore) -> None:
    day = 86_400_000
    store(database, request("old", "ann", at=NOW - 3 * day), request("new", "ann"))
    store(database, came_of("old")[0], came_of("new")[0])
    erasing = Erasing(database, payloads, PrivacySettings(retention_days=2))
    erasing.tend(NOW)
    assert ids(database, "requests") == ["new", "old"], "it looks after a while only"
    erasing._next_look = 0.0
    erasing.tend(NOW)
    assert ids(database, "requests") == ["new"]
    assert ids(database, "results") == ["new"]


def test_columns_can_be_stored_empty() -> None:
    ((table, frame),) = rows([stood(request("r", "ann"), 0)]).frames
    names = ("requests.user", "requests.inputs", "requests.contract", "results.outputs")
    kept = redacted(table, frame, names)
    assert kept.schema == frame.schema
    assert kept.select("user", "inputs").row(0) == ("", [])
    assert kept["request_id"].to_list() == ["r"]
    assert redacted(table, frame, ()) is frame


def test_an_erasure_that_cannot_be_is_refused() -> None:
    with pytest.raises(RegistrationError, match="whom"):
        erasure("", "", NOW, "", NOW)
    with pytest.raises(RegistrationError, match="has not happened"):
        erasure("ann", "", NOW + 1, "", NOW)
    assert isinstance(erasure("ann", "", NOW, "", NOW), ErasureRequested)
