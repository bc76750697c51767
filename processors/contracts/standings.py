"""How a clause stands: its spell, its budget, and what was usual while it held."""

from dataclasses import dataclass, replace

from processors.contracts.budgets import Account, Bucket, account, entered
from processors.contracts.clauses import (
    WARNING,
    Judged,
    beyond,
    metric_of,
    metrics_of,
    period_of,
    same_promise,
)
from processors.contracts.shares import Past
from processors.contracts.usual import MEMORY, Usual, learned
from schemas.identity import stable_id
from schemas.observing import ContractViolated, Contribution, Observation
from schemas.registrations import Clause, ContractRegistered

VIOLATED, CLEARED = "violated", "cleared"
OK, UNOBSERVED = "ok", "unobserved"
_FORGOTTEN = 10
"""A part that is silent for so many of the clause's windows is no part any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a clause stands: `turning` counts judgements in a row that speak against it.

    `since` is the end of the first of them, or, while it is violated, of the first that broke it;
    `spell` the id of the event that told so. `judged_at` is the host's clock at the newest
    judgement, `shown` the status that was told last, as from `shown_at` on. `usual` is its value
    while it held, the mean of `held` judgements, with `parts`.
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
    spell: str = ""
    judged_at: int = 0
    shown: str = ""
    shown_at: int = 0
    ring: tuple[Bucket, ...] = ()
    usual: float = 0.0
    held: int = 0
    parts: tuple[Usual, ...] = ()

    @property
    def past(self) -> Past:
        """Return what was usual while the clause held."""
        return Past(self.usual, self.held, self.parts)

    def may_be(self, contract: ContractRegistered, clause: Clause) -> bool:
        """Return whether a clause, perhaps of another version, goes on as this one stands."""
        return self.app == contract.app and same_promise(self.clause, clause)

    def of(self, contract: ContractRegistered, clause: Clause) -> "Standing":
        """Return the same of a clause of a contract that promises the same."""
        return replace(
            self,
            contract_id=contract.event_id,
            version=contract.version,
            consumer=contract.consumer,
            clause=clause,
        )

    def account(self) -> Account:
        """Return what was judged within the period that ends with the newest judgement."""
        return account(self.ring, self.last_end, period_of(self.clause))

    def budget_left(self) -> float | None:
        """Return the share of the error budget that is left; None without an objective."""
        return self.account().left(self.clause.objective, period_of(self.clause))

    def status(self, now_ms: int, silent_ms: int) -> str:
        """Return ok, violated or unobserved.

        A clause is unobserved when it was never judged, or not for two of its windows and
        `silent_ms` of the host's clock, nor while it never held and is not violated yet. It is
        violated in a spell, and when its budget is spent.
        """
        patience = 2 * self.clause.window_ms + silent_ms
        if not self.judged_at or now_ms - self.judged_at > patience:
            return UNOBSERVED
        left = self.budget_left()
        if self.violated or (left is not None and left < 0):
            return VIOLATED
        return UNOBSERVED if self.turning and not self.held else OK


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


def turned(
    standing: Standing,
    judged: Judged,
    end: int,
    spell: int,
    now_ms: int,
    newest: tuple[Observation, ...] = (),
) -> Standing:
    """Return the standing after a judgement of the span that ends at `end`.

    The verdict turns after `spell` judgements in a row against it. What is usual is learned from
    `newest`, the windows that ended last, while the clause holds.
    """
    after = _judged(standing, judged, end, now_ms)
    if judged.holds and not standing.violated:
        after = _learned(after, judged, end, newest)
    if judged.holds != standing.violated:
        return replace(after, turning=0)
    turning = standing.turning + 1
    first = end if turning == 1 else standing.first
    if turning < spell:
        return replace(after, turning=turning, first=first)
    if standing.violated:
        return replace(after, turning=0, violated=False)
    name = stable_id("contract", standing.contract, standing.contract_id, standing.clause.name,
                     first, VIOLATED)  # fmt: skip
    return replace(after, turning=0, since=first, violated=True, spell=name)


def _judged(standing: Standing, judged: Judged, end: int, now_ms: int) -> Standing:
    clause = standing.clause
    span = clause.window_ms
    covered = min(span, end - standing.last_end) if standing.last_end else span
    ring = entered(standing.ring, end, covered, held=judged.holds, period_ms=period_of(clause))
    return replace(standing, last_end=end, observed=judged.observed, judged_at=now_ms, ring=ring)


def _learned(
    standing: Standing, judged: Judged, end: int, newest: tuple[Observation, ...]
) -> Standing:
    held = standing.held + 1
    share = 1.0 / min(held, MEMORY)
    forget_before = end - _FORGOTTEN * standing.clause.window_ms
    wanted = metrics_of(standing.clause)
    parts = (one for one in newest if one.metric in wanted and (one.stage or one.service))
    return replace(
        standing,
        held=min(held, MEMORY),
        usual=standing.usual + (judged.observed - standing.usual) * share,
        parts=learned(standing.parts, parts, forget_before),
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
    cleared = stable_id("contract", standing.spell, CLEARED)
    return ContractViolated(
        event_id=standing.spell if standing.violated else cleared,
        contract=standing.contract,
        contract_version=standing.version,
        clause=clause.name,
        app=standing.app,
        consumer=standing.consumer,
        metric=metric_of(clause),
        status=VIOLATED if standing.violated else CLEARED,
        observed=standing.observed,
        threshold=clause.threshold,
        operator=clause.operator,
        since=standing.since,
        window_start=end - clause.window_ms,
        window_end=end,
        contributions=parts,
        evaluated_at=now_ms,
        causes=causes,
        excess=max(0.0, beyond(clause, standing.observed)) if standing.violated else 0.0,
        budget_left=standing.budget_left(),
        severity=clause.severity or WARNING,
        spell=standing.spell,
    )
