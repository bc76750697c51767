"""`weir contracts history` and `explain`, and how contracts stand, out of ClickHouse."""

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas import observing as o
from schemas.registrations import Clause, ContractRegistered
from streams import cli, contract_reports
from streams.errors import RegistrationError
from tests.clickhouse import world
from tests.clickhouse.messages import store
from tests.examples import example
from workers.clickhouse import Database

PARTS = (
    o.Contribution(
        stage="classify", service="large", instance="large.1", observed=90.0, share=0.75,
        amount=22.5, baseline=40.0,
    ),
    o.Contribution(stage="crop", service="crop", observed=20.0, share=0.25, amount=7.5),
)  # fmt: skip
VIOLATED = replace(
    example(o.ContractViolated),
    event_id="beefbeef01",
    contract="gold",
    clause="quick",
    app="digits",
    metric="latency",
    status="violated",
    observed=80.0,
    threshold=50.0,
    operator="<",
    since=world.T0,
    window_end=world.T0 + 2_000,
    evaluated_at=world.T0 + 2_500,
    contributions=PARTS,
    excess=30.0,
    budget_left=0.25,
    severity="critical",
    spell="beefbeef01",
)
CLEARED = replace(
    VIOLATED, event_id="c1ea", status="cleared", window_end=world.T0 + 9_000,
    evaluated_at=world.T0 + 9_500, contributions=(), excess=0.0,
)  # fmt: skip
LATER = replace(VIOLATED, event_id="beefbeef02", spell="beefbeef02", evaluated_at=world.T0 + 60_000)


@pytest.fixture
def weir(commands: CliRunner, database: Database) -> Any:
    store(database, VIOLATED, CLEARED, LATER, VIOLATED)
    return lambda *arguments: commands.invoke(cli.app, ["contracts", *arguments])


def test_history_tells_spells_newest_first(weir: Any) -> None:
    done = weir("history", "gold", "--json")
    assert done.exit_code == 0, done.exception
    rows = json.loads(done.stdout)
    assert [(row["event_id"], row["until"]) for row in rows] == [
        ("beefbeef02", None),
        ("beefbeef01", world.T0 + 9_000),
    ]
    table = weir("history").stdout
    assert "classify/large/large.1 75%" in table
    assert json.loads(weir("history", "silver", "--json").stdout) == []


def test_a_violation_is_explained_by_stage_and_service(weir: Any) -> None:
    told = json.loads(weir("explain", "beefbeef01", "--json").stdout)
    assert told["stages"] == [
        {"stage": "classify", "amount": 22.5},
        {"stage": "crop", "amount": 7.5},
    ]
    assert sum(part["amount"] for part in told["contributions"]) == told["excess"]
    words = weir("explain", "gold/quick").stdout
    assert "latency was 80, promised < 50" in words
    assert "excess 30, error budget left 25.00%" in words
    assert "by stage: classify +22.5, crop +7.5" in words


def test_a_contract_comes_before_ids_that_begin_like_its_name(
    weir: Any, database: Database
) -> None:
    older = replace(VIOLATED, event_id="aa", contract="beef", evaluated_at=world.T0)
    store(database, older)

    assert contract_reports.named(database, "", "beef")["event_id"] == "aa"


def test_a_violation_that_is_not_there_or_not_clear_is_refused(
    weir: Any, database: Database
) -> None:
    assert weir("explain", "beefbeef").exit_code != 0
    with pytest.raises(RegistrationError, match="2 violations begin with 'beefbeef'"):
        contract_reports.named(database, "", "beefbeef")
    with pytest.raises(RegistrationError, match="no violation 'nothing'"):
        contract_reports.named(database, "", "nothing")


def test_what_nobody_tells_any_more_is_unobserved(database: Database) -> None:
    clause = Clause(
        name="right", metric="accuracy", statistic="mean", operator=">=", threshold=0.8,
        window_ms=1_000,
    )  # fmt: skip
    contract = ContractRegistered(
        contract="gold", consumer="", app="digits", owner="", version=2, clauses=(clause,),
        registered_at=0, event_id="gold-2",
    )  # fmt: skip
    told = o.ClauseStanding(
        clause="right", metric="accuracy", status="ok", observed=0.9, threshold=0.8, operator=">=",
        held=0.5, judged=4, budget_left=0.5, since=world.T0,
    )  # fmt: skip
    standing = replace(
        example(o.ContractStanding), contract="gold", contract_version=2, status="ok",
        clauses=(told,), evaluated_at=world.T0,
    )  # fmt: skip
    older = replace(standing, event_id="older", status="violated", evaluated_at=world.T0 - 1_000)
    store(database, standing, older)

    def status(contract: ContractRegistered, now_ms: int) -> list[tuple[Any, ...]]:
        found = contract_reports.standings(database, "", now_ms).get(contract.contract)
        rows = contract_reports.standing_rows(contract, found)
        return [(row["status"], row["observed"], row["budget_left"]) for row in rows]

    assert status(contract, world.T0 + 60_000) == [("ok", 0.9, 0.5)]
    assert status(contract, world.T0 + 600_000) == [("unobserved", None, 0.5)]
    assert status(replace(contract, version=3), world.T0) == [("unobserved", None, None)]
    assert status(replace(contract, contract="new"), world.T0) == [("unobserved", None, None)]
