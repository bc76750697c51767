"""What the catalogue says about an application, as far as selection needs it."""

from collections.abc import Iterable
from dataclasses import dataclass

from processors.selecting.ensembles import Bound
from schemas.catalogue import Catalogue
from schemas.identity import stable_id
from schemas.registrations import (
    ApplicationRegistered,
    Clause,
    ContractRegistered,
    InstanceReported,
    PolicySelected,
    ServiceRegistered,
)

DEFAULT_WEIGHTS = {"accuracy": 0.6, "latency": 0.2, "cost": 0.2}
DEFAULT_MEMBERS = 3
_MODES = ("observe", "recommend", "act")
_HIGH = ("p90", "p95", "p99", "max")


@dataclass(frozen=True, slots=True)
class AppView:
    """An application with its services, its contracts that are valid now, and its mode.

    `contract` is the name of the leading one (highest priority, then first by name), which gives
    the weights and the size; bounds come from all of them. `signature` changes with whatever
    bears on selection, and with nothing else; `identity` tells registrations apart.
    """

    app: str
    services: tuple[ServiceRegistered, ...]
    stages: tuple[str, ...]
    contract: str
    weights: tuple[tuple[str, float], ...]
    bounds: tuple[Bound, ...]
    max_members: int
    mode: str
    signature: str
    identity: str
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Basis:
    """The entries that a view rests on; equal ones make equal views."""

    registered: ApplicationRegistered
    services: tuple[ServiceRegistered, ...]
    contracts: tuple[ContractRegistered, ...]
    policies: tuple[PolicySelected | None, ...]


class Views:
    """The views of applications, made again only when what they rest on has changed."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[_Basis, AppView]] = {}

    def of(self, app: str, catalogue: Catalogue, now_ms: int) -> AppView | None:
        """Return how the catalogue describes an application now; None when not registered."""
        basis = _basis(app, catalogue, now_ms)
        if basis is None:
            self._made.pop(app, None)
            return None
        known = self._made.get(app)
        if known is None or known[0] != basis:
            known = self._made[app] = (basis, _view(basis))
        return known[1]


def _basis(app: str, catalogue: Catalogue, now_ms: int) -> _Basis | None:
    registered = catalogue.get(ApplicationRegistered, app)
    if registered is None:
        return None
    return _Basis(
        registered,
        catalogue.by_app(ServiceRegistered).get(app, ()),
        _valid(catalogue.by_app(ContractRegistered).get(app, ()), now_ms),
        tuple(catalogue.get(PolicySelected, scope) for scope in (f"select/{app}", "select")),
    )


def _view(basis: _Basis) -> AppView:
    registered, contracts = basis.registered, basis.contracts
    services = _services(registered, basis.services)
    lead = contracts[0] if contracts else None
    clauses = [clause for contract in contracts for clause in contract.clauses]
    bounds = tuple(bound for bound in map(bound_of, clauses) if bound is not None)
    weights = _weights(lead)
    size = lead.max_members if lead else DEFAULT_MEMBERS
    causes = [registered.event_id, *(lead.event_id for lead in contracts[:1])]
    return AppView(
        app=registered.app,
        services=services,
        stages=tuple(sorted({service.stage for service in services})),
        contract=lead.contract if lead else "",
        weights=weights,
        bounds=bounds,
        max_members=max(1, size),
        mode=_mode(basis.policies),
        signature=stable_id(
            *(fingerprint(service) for service in services),
            repr((weights, bounds, size, lead.contract if lead else "")),
        ),
        identity=f"{registered.app_id}/{registered.registered_at}",
        causes=(*causes, *(service.event_id for service in services)),
    )


def fingerprint(service: ServiceRegistered) -> str:
    """Return service@hash of what bears on its selection."""
    facts = (
        service.stage,
        service.artifact,
        service.digest,
        service.accuracy,
        service.latency_ms,
        service.cost,
    )
    return f"{service.service}@{stable_id(repr(facts))[:8]}"


def failed_services(
    view: AppView, catalogue: Catalogue, now_ms: int
) -> tuple[tuple[str, str], ...]:
    """Return (fingerprint, message) of services whose every living instance says that it failed."""
    reported = _instances(view, catalogue)
    found = []
    for service in view.services:
        living = [
            instance
            for instance in reported.get(service.service, [])
            if instance.expires_at > now_ms and instance.health != "stopped"
        ]
        if living and all(instance.health == "failed" for instance in living):
            found.append((fingerprint(service), living[0].message or "it failed"))
    return tuple(found)


def down(
    services: tuple[str, ...], view: AppView, catalogue: Catalogue, now_ms: int
) -> tuple[str, ...]:
    """Return services that once had an instance and have no ready one now."""
    reported = _instances(view, catalogue)
    return tuple(
        service
        for service in services
        if service in reported
        and not any(i.health == "ready" and i.expires_at > now_ms for i in reported[service])
    )


def all_ready(app: str, catalogue: Catalogue, now_ms: int) -> bool:
    """Return whether every instance that was ever reported of an application is ready now."""
    return all(
        instance.health == "ready" and instance.expires_at > now_ms
        for instance in catalogue.by_app(InstanceReported).get(app, ())
    )


def _instances(view: AppView, catalogue: Catalogue) -> dict[str, list[InstanceReported]]:
    found: dict[str, list[InstanceReported]] = {}
    for instance in catalogue.by_app(InstanceReported).get(view.app, ()):
        found.setdefault(instance.service, []).append(instance)
    return found


def bound_of(clause: Clause) -> Bound | None:
    """Return the bound that a clause on the application as a whole sets for its ensemble.

    Accuracy and error (its complement) bound from below, latency and response_latency from above;
    other metrics cannot be predicted and bound nothing.
    """
    if clause.service or clause.stage:
        return None
    least, most = clause.operator in (">", ">="), clause.operator in ("<", "<=")
    if clause.metric == "accuracy" and least:
        return Bound("accuracy", clause.threshold)
    if clause.metric == "error" and most:
        return Bound("accuracy", 1.0 - clause.threshold)
    if clause.metric in ("latency", "response_latency") and most:
        high = clause.statistic in _HIGH
        return Bound("latency_high" if high else "latency", clause.threshold)
    return None


def _services(
    registered: ApplicationRegistered, services: Iterable[ServiceRegistered]
) -> tuple[ServiceRegistered, ...]:
    """Return the services that the stages name; all of the application when they name none."""
    named = {service for stage in registered.stages for service in stage.services}
    own = [s for s in services if not named or s.service in named]
    return tuple(sorted(own, key=lambda s: s.service))


def _valid(contracts: Iterable[ContractRegistered], now_ms: int) -> tuple[ContractRegistered, ...]:
    valid = [
        contract
        for contract in contracts
        if (contract.valid_from is None or contract.valid_from <= now_ms)
        and (contract.valid_until is None or now_ms < contract.valid_until)
    ]
    return tuple(sorted(valid, key=lambda c: (-c.priority, c.contract)))


def _weights(contract: ContractRegistered | None) -> tuple[tuple[str, float], ...]:
    """Return the shares of accuracy, latency and cost; others cannot be predicted and are left."""
    given = {w.objective: w.weight for w in contract.weights} if contract else {}
    known = {name: max(0.0, given.get(name, 0.0)) for name in DEFAULT_WEIGHTS}
    total = sum(known.values())
    if total <= 0:
        known, total = DEFAULT_WEIGHTS, 1.0
    return tuple((name, weight / total) for name, weight in known.items())


def _mode(policies: Iterable[PolicySelected | None]) -> str:
    for policy in policies:
        if policy is not None and policy.mode in _MODES:
            return policy.mode
    return "act"
