"""What a contract and the policies in force ask of a selection: weights, bounds, algorithm, pin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from processors.selecting.ensembles import CLASS, PARTIAL, Bound
from schemas.authority import MODES
from schemas.registrations import (
    ApplicationRegistered,
    Clause,
    ContractRegistered,
    PolicySelected,
)

SCOPE = "select"
PIN, SIZE, CAUTION, EXPLORE = "members", "size", "caution", "explore_ms"
DEFAULT_WEIGHTS = {"accuracy": 0.6, "latency": 0.2, "cost": 0.2}
OBJECTIVES = ("accuracy", "latency", "cost", "energy", "confidence")
_HIGH = ("p90", "p95", "p99", "max")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which algorithm shall select, who said so, and with which parameters.

    `name` is empty where nobody chose one. `pinned` are the members that a person chose.
    """

    name: str
    by: str
    told: Mapping[str, str]
    pinned: tuple[str, ...]


def scopes(app: str, consumer: str) -> tuple[str, ...]:
    """Return the scopes of policies for an application, the narrowest first."""
    whole = (f"{SCOPE}/{app}", SCOPE)
    return (f"{SCOPE}/{app}/{consumer}", *whole) if consumer else whole


def chosen(
    policies: Sequence[PolicySelected | None],
    contract: ContractRegistered | None,
    app: ApplicationRegistered,
    known: Iterable[str],
) -> tuple[Chosen, tuple[tuple[PolicySelected | None, str], ...]]:
    """Return the algorithm in force, and what names an algorithm that nobody knows.

    The policy of the consumer is heeded first, then that of the application, the contract, the
    application's registration, and the policy for all.
    """
    narrow, wide = policies[:-1], policies[-1]
    named = [(p, p.algorithm if p else "", p.scope if p else "") for p in narrow]
    if contract is not None:
        named.append((None, contract.algorithm, f"contract {contract.contract}"))
    named.append((None, app.algorithm, f"application {app.app}"))
    named.append((wide, wide.algorithm if wide else "", wide.scope if wide else ""))
    usable = [(name, by) for _, name, by in named if name in set(known)]
    strange = tuple(
        (policy, f"{by}: no algorithm {name!r}")
        for policy, name, by in named
        if name and name not in set(known)
    )
    told: dict[str, str] = {}
    for policy in reversed([p for p in policies if p is not None]):
        told |= {p.key: p.value for p in policy.parameters}
    pinned = tuple(dict.fromkeys(n for n in told.get(PIN, "").replace(" ", "").split(",") if n))
    name, by = usable[0] if usable else ("", "")
    return Chosen(name, by, told, pinned), strange


def mode(policies: Iterable[PolicySelected | None]) -> str:
    """Return the mode in force: that of the narrowest policy that has one."""
    for policy in policies:
        if policy is not None and policy.mode in MODES:
            return policy.mode
    return "act"


def weights(contract: ContractRegistered | None) -> tuple[tuple[str, float], ...]:
    """Return the shares of the objectives that can be predicted, those of single classes, too.

    And those of accuracies under a condition.
    """
    given = {w.objective: max(0.0, w.weight) for w in contract.weights} if contract else {}
    known = {n: w for n, w in given.items() if n in OBJECTIVES or n.startswith(PARTIAL)}
    total = sum(known.values())
    if total <= 0:
        known, total = dict(DEFAULT_WEIGHTS), 1.0
    return tuple(
        (name, known[name] / total)
        for name in dict.fromkeys((*DEFAULT_WEIGHTS, *known))
        if name in known
    )


def bound_of(clause: Clause, contract: str = "") -> Bound | None:
    """Return the bound that a clause on the application as a whole sets for its ensemble.

    Accuracy (also of one class, or under a condition), error (its complement) and confidence bound
    from below, latency and response_latency from above; other metrics cannot be predicted and bound
    nothing.
    """
    if clause.service or clause.stage or clause.instance:
        return None
    name = f"{contract}/{clause.name}" if contract else clause.name
    least, most = clause.operator in (">", ">="), clause.operator in ("<", "<=")
    metric = clause.metric
    if clause.label and metric == "accuracy":
        metric = f"{CLASS}{clause.label}"
    if least and (metric in ("accuracy", "confidence") or metric.startswith(PARTIAL)):
        return Bound(metric, clause.threshold, name)
    if metric == "error" and most:
        what = f"{CLASS}{clause.label}" if clause.label else "accuracy"
        return Bound(what, 1.0 - clause.threshold, name)
    if metric in ("latency", "response_latency") and most:
        high = clause.statistic in _HIGH
        return Bound("latency_high" if high else "latency", clause.threshold, name)
    return None


def valid(contracts: Iterable[ContractRegistered], now_ms: int) -> tuple[ContractRegistered, ...]:
    """Return the contracts that hold now, the most important first, then by name."""
    holding = [
        contract
        for contract in contracts
        if (contract.valid_from is None or contract.valid_from <= now_ms)
        and (contract.valid_until is None or now_ms < contract.valid_until)
    ]
    return tuple(sorted(holding, key=lambda c: (-c.priority, c.contract)))


def consumers(contracts: Sequence[ContractRegistered]) -> tuple[str, ...]:
    """Return the consumers that get an ensemble of their own.

    Those with a contract of their own, but for a single one where no contract is for all: then the
    application's ensemble is theirs.
    """
    named = tuple(dict.fromkeys(c.consumer for c in contracts if c.consumer))
    shared = any(not c.consumer for c in contracts)
    return tuple(sorted(named)) if shared or len(named) > 1 else ()


def concerning(
    contracts: Sequence[ContractRegistered], consumer: str
) -> tuple[ContractRegistered, ...]:
    """Return the contracts that an ensemble must keep: the consumer's and those for all.

    Without a consumer: those for all, or every one where none is for all.
    """
    shared = tuple(c for c in contracts if not c.consumer)
    if not consumer:
        return shared or tuple(contracts)
    own = tuple(c for c in contracts if c.consumer == consumer)
    return (*own, *shared)
