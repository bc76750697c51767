"""What is told of how contracts stand: when it changes, and regularly while they are in force."""

from collections.abc import Sequence
from dataclasses import dataclass

from processors.contracts.clauses import metric_of
from processors.contracts.registered import in_force
from processors.contracts.standings import OK, UNOBSERVED, VIOLATED, Standing
from schemas.identity import stable_id
from schemas.observing import ClauseStanding, ContractStanding
from schemas.registrations import ContractRegistered

NOT_IN_FORCE = "not-in-force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told of a contract last: its registration, its status and its clauses', and when."""

    contract: str
    contract_id: str
    app: str
    statuses: tuple[str, ...]
    at_ms: int


def status_of(contract: ContractRegistered, standings: Sequence[Standing], now_ms: int) -> str:
    """Return the status of a contract: that of its worst clause, unless it is not in force.

    Broken comes before unobserved, and only what is observed and kept is ok.
    """
    if not in_force(contract, now_ms):
        return NOT_IN_FORCE
    found = {standing.shown for standing in standings}
    return next((status for status in (VIOLATED, UNOBSERVED) if status in found), OK)


def told_of(contract: ContractRegistered, standings: Sequence[Standing], now_ms: int) -> Told:
    """Return what there is to tell of a contract now."""
    status = status_of(contract, standings, now_ms)
    clauses = () if status == NOT_IN_FORCE else tuple(one.shown for one in standings)
    return Told(
        contract=contract.contract,
        contract_id=contract.event_id,
        app=contract.app,
        statuses=(status, *clauses),
        at_ms=now_ms,
    )


def is_due(before: Told | None, now: Told, tell_ms: int) -> bool:
    """Return whether it is to be told: it has changed, or is in force and `tell_ms` have gone."""
    if before is None or (before.statuses, before.contract_id) != (now.statuses, now.contract_id):
        return True
    return now.statuses[0] != NOT_IN_FORCE and now.at_ms - before.at_ms >= tell_ms


def event_of(
    contract: ContractRegistered, standings: Sequence[Standing], told: Told
) -> ContractStanding:
    """Return how a contract stands, as an event."""
    ends = [one.last_end for one in standings if one.last_end]
    spells = tuple(one.spell for one in standings if one.violated)
    return ContractStanding(
        event_id=stable_id("standing", contract.event_id, contract.version, told.at_ms),
        app=contract.app,
        contract=contract.contract,
        contract_version=contract.version,
        consumer=contract.consumer,
        status=told.statuses[0],
        clauses=tuple(_clause(one) for one in standings),
        window_end=max(ends, default=told.at_ms),
        evaluated_at=told.at_ms,
        causes=(contract.event_id, *spells),
    )


def _clause(one: Standing) -> ClauseStanding:
    counted = one.account()
    return ClauseStanding(
        clause=one.clause.name,
        metric=metric_of(one.clause),
        status=one.shown,
        observed=None if one.shown == UNOBSERVED else one.observed,
        threshold=one.clause.threshold,
        operator=one.clause.operator,
        held=counted.share,
        judged=counted.judged,
        budget_left=one.budget_left(),
        since=one.shown_at,
    )
