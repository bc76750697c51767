"""Erasures are tried again until they are done; only columns that there are can be redacted."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from workers.clickhouse import Database
from workers.errors import ClickHouseUnavailable
from workers.payloads.errors import PayloadRefused
from workers.payloads.store import PayloadStore
from workers.settings_outside import PrivacySettings
from workers.sinking.erasing import AGAIN_S, EXPIRE_S, Erasing


@dataclass
class Answer:
    rows: list[tuple[Any, ...]]


@dataclass
class Asked:
    """A database that knows one erasure; it is away as often as `away` says."""

    away: int = 0
    told: list[str] = field(default_factory=list)

    def query(self, _: str) -> Answer:
        if self.away:
            self.away -= 1
            raise ClickHouseUnavailable("away")
        return Answer([("e1", "ann", "", 5_000)])

    def execute(self, sql: str) -> None:
        self.told.append(sql)


class Refusing(PayloadStore):
    """A store that removes nothing as long as `refuses`."""

    refuses = True

    def erase(self, user: str, before_s: float) -> int:
        if self.refuses:
            raise PayloadRefused("stays")
        return super().erase(user, before_s)


def erasing(database: Asked, store: PayloadStore) -> Erasing:
    return Erasing(cast(Database, database), store, PrivacySettings(retention_days=1))


def test_a_look_that_failed_is_made_again(tmp_path: Path) -> None:
    database = Asked(away=1)
    looking = erasing(database, PayloadStore(tmp_path, 1_000, 60.0))
    looking._next_look = 0.0
    with pytest.raises(ClickHouseUnavailable):
        looking.tend(10**12)
    assert database.told == []
    looking.tend(10**12)
    assert "DELETE FROM `requests`" in database.told[-1]
    before = len(database.told)
    looking.tend(10**12)
    assert len(database.told) == before, "the next is due in an hour"


def test_payloads_that_stay_keep_nobody_and_are_asked_for_again(tmp_path: Path) -> None:
    store = Refusing(tmp_path, 1_000, 60.0)
    store.put(b"a face", "ann")
    looking = erasing(Asked(), store)
    looking._next_look = 0.0
    looking.tend(10**12)
    assert 0 < looking._next_look - time.monotonic() <= AGAIN_S
    store.refuses, looking._next_look = False, 0.0
    looking.tend(10**12)
    assert AGAIN_S < looking._next_look - time.monotonic() <= EXPIRE_S


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("request.user", "no table 'request'"),
        ("requests", "no column ''"),
        ("requests.usr", "no column 'usr'"),
        ("requests._key", "no column '_key'"),
        ("requests.priority", "which nothing is empty of"),
        ("responses.request_id", "told apart, or found"),
    ],
)
def test_what_cannot_be_stored_empty_is_refused(name: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        PrivacySettings(redact=("results.outputs", name))


def test_what_can_be_stored_empty_is_taken() -> None:
    names = ("requests.user", "requests.inputs", "results.outputs", "responses.label")
    assert PrivacySettings(redact=names).redact == names
