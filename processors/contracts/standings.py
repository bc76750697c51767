"""How a clause stands: its verdict, and how many judgements in a row speak against it."""

from dataclasses import dataclass, replace

from processors.contracts.clauses import Judged
from schemas.identity import stable_id
from schemas.observing import ContractViolated, Contribution
from schemas.registrations import Clause, ContractRegistered

VIOLATED, CLEARED = "violated", "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a clause stands: `turning` counts judgements in a row that speak against it.

    `since` is the end of the first of them, or, while it is violated, of the first that broke it.
    """

    contract: str
    contract_id: str
    version: int
    consumer: str
    app: str
    clause: Clause
    violated: bool = False
    turning: int = 0
    since: int = 0
    first: int = 0
    last_end: int = 0
    observed: float = 0.0


def turned(standing: Standing, judged: Judged, end: int, spell: int) -> Standing:
    """Return the standing after a judgement of the span that ends at `end`.

    The verdict turns after `spell` judgements in a row against it.
    """
    after = replace(standing, last_end=end, observed=judged.observed)
    if judged.holds != standing.violated:
        return replace(after, turning=0)
    turning = standing.turning + 1
    first = end if turning == 1 else standing.first
    if turning < spell:
        return replace(after, turning=turning, first=first)
    since = standing.since if standing.violated else first
    return replace(after, turning=0, since=since, violated=not standing.violated)


def standing_of(contract: ContractRegistered, clause: Clause) -> Standing:
    """Return how a clause stands that has not been judged."""
    return Standing(
        contract=contract.contract,
        contract_id=contract.event_id,
        version=contract.version,
        consumer=contract.consumer,
        app=contract.app,
        clause=clause,
    )


def verdict(
    standing: Standing,
    end: int,
    parts: tuple[Contribution, ...],
    causes: tuple[str, ...],
    now_ms: int,
) -> ContractViolated:
    """Return the event that tells how a clause stands at the end of a span."""
    clause = standing.clause
    status = VIOLATED if standing.violated else CLEARED
    return ContractViolated(
        event_id=stable_id("contract", standing.contract_id, clause.name, standing.since, status),
        contract=standing.contract,
        contract_version=standing.version,
        clause=clause.name,
        app=standing.app,
        consumer=standing.consumer,
        metric=clause.metric,
        status=status,
        observed=standing.observed,
        threshold=clause.threshold,
        operator=clause.operator,
        since=standing.since,
        window_start=end - clause.window_ms,
        window_end=end,
        contributions=parts,
        evaluated_at=now_ms,
        causes=causes,
    )
