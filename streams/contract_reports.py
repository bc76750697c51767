"""What ClickHouse tells of contracts: how they stand, what broke them, who contributed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processors.contracts.standings import CLEARED, UNOBSERVED, VIOLATED
from processors.contracts.telling import NOT_IN_FORCE
from schemas.registrations import ContractRegistered
from streams.errors import RegistrationError
from workers.clickhouse import Database

FRESH_MS = 180_000
"""A standing that was told longer ago tells nothing of now: nobody judges."""
_LATEST = """
SELECT
    contract,
    argMax(contract_version, _order) AS version,
    argMax(status, _order) AS status,
    toUnixTimestamp64Milli(argMax(evaluated_at, _order)) AS evaluated_at,
    argMax(arrayMap(c -> (c.clause, c.status, c.observed, c.held, c.judged, c.budget_left,
                          toUnixTimestamp64Milli(c.since)), clauses), _order) AS clauses
FROM (SELECT *, (evaluated_at, _timestamp, _offset) AS _order FROM standings FINAL
      WHERE {cluster:String} IN ('', _cluster))
GROUP BY contract
"""
_VIOLATIONS = """
SELECT event_id, contract, contract_version, clause, app, consumer, metric, status, observed,
       threshold, operator, severity, excess, budget_left, spell,
       toUnixTimestamp64Milli(since) AS since, toUnixTimestamp64Milli(window_end) AS window_end,
       toUnixTimestamp64Milli(evaluated_at) AS evaluated_at, causes,
       arrayMap(c -> (c.stage, c.service, c.instance, c.observed, c.baseline, c.amount, c.share),
                contributions) AS contributions
FROM violations FINAL
WHERE {cluster:String} IN ('', _cluster) AND {where}
ORDER BY evaluated_at DESC, event_id
LIMIT {most:UInt32}
"""
_CLAUSE = ("clause", "status", "observed", "held", "judged", "budget_left", "since")
_PART = ("stage", "service", "instance", "observed", "baseline", "amount", "share")


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which a clause was broken: how it began, and when it ended, None while it lasts."""

    violated: Mapping[str, Any]
    cleared_at: int | None


def standings(database: Database, cluster: str, now_ms: int) -> dict[str, dict[str, Any]]:
    """Return how each contract stands, by name; what nobody tells any more is unobserved."""
    found = database.query(_LATEST, {"cluster": cluster}).records()
    return {one["contract"]: _current(one, now_ms) for one in found}


def standing_rows(
    contract: ContractRegistered, told: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return a row per clause of a registered contract, told of this version or not."""
    known = told if told is not None and told["version"] == contract.version else None
    by_clause = {one["clause"]: one for one in known["clauses"]} if known else {}
    status = known["status"] if known else UNOBSERVED
    empty = {"status": UNOBSERVED if status != NOT_IN_FORCE else status, "observed": None,
             "held": None, "judged": 0, "budget_left": None, "since": None}  # fmt: skip
    return [
        {
            "contract": contract.contract,
            "app": contract.app,
            "consumer": contract.consumer,
            "contract_status": status,
            "clause": clause.name,
            **empty,
            **by_clause.get(clause.name, {}),
        }
        for clause in contract.clauses
    ]


def violations(
    database: Database, cluster: str, where: str, parameters: Mapping[str, Any], most: int
) -> list[dict[str, Any]]:
    """Return violations and their ends, newest first; `where` is a condition, its instants ms."""
    sql = _VIOLATIONS.replace("{where}", where)
    found = database.query(sql, {"cluster": cluster, "most": most, **parameters}).records()
    for one in found:
        one["contributions"] = [
            dict(zip(_PART, part, strict=True)) for part in one["contributions"]
        ]
    return found


def spells(found: Iterable[Mapping[str, Any]]) -> list[Spell]:
    """Return the spells of violations and their ends, newest first."""
    rows = list(found)
    ends = {row["spell"]: row["window_end"] for row in rows if row["status"] == CLEARED}
    broken = (row for row in rows if row["status"] == VIOLATED)
    return [Spell(row, ends.get(row["spell"] or row["event_id"])) for row in broken]


def named(database: Database, cluster: str, name: str) -> dict[str, Any]:
    """Return the newest violation of a contract or clause, or else that of an id or its beginning.

    Raises RegistrationError when there is none, or several begin so.
    """
    contract, _, clause = name.partition("/")
    where = (
        "status = 'violated' AND (startsWith(event_id, {name:String}) OR "
        "(contract = {contract:String} AND {clause:String} IN ('', clause)))"
    )
    given = {"name": name, "contract": contract, "clause": clause}
    found = violations(database, cluster, where, given, 50)
    of_contract = [one for one in found if one["contract"] == contract]
    if len(found) > 1 and not of_contract:
        raise RegistrationError(f"{len(found)} violations begin with {name!r}; write more of it")
    if not found:
        raise RegistrationError(
            f"no violation {name!r}; name its event id, a contract, or contract/clause; "
            "`weir contracts history` lists them"
        )
    return (of_contract or found)[0]


def by_stage(contributions: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """Return what each stage contributed, the largest first; they add up to the excess."""
    stages = dict.fromkeys(part["stage"] for part in contributions)
    amounts = [
        (stage, math.fsum(part["amount"] for part in contributions if part["stage"] == stage))
        for stage in stages
    ]
    return sorted(amounts, key=lambda one: -one[1])


def _current(told: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    clauses = [dict(zip(_CLAUSE, one, strict=True)) for one in told["clauses"]]
    silent = now_ms - told["evaluated_at"] > FRESH_MS and told["status"] != NOT_IN_FORCE
    if silent:
        clauses = [one | {"status": UNOBSERVED, "observed": None} for one in clauses]
    status = UNOBSERVED if silent else told["status"]
    return {**told, "status": status, "clauses": clauses}
