"""What the catalogue says about an application, as far as selection needs it."""

from collections.abc import Iterable
from dataclasses import dataclass

from processors.selecting import wishes
from processors.selecting.ensembles import CLASS, CONDITION, Bound
from processors.selecting.wishes import Chosen
from schemas.catalogue import Catalogue
from schemas.identity import stable_id
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    InstanceReported,
    PolicySelected,
    ServiceRegistered,
)

DEFAULT_MEMBERS = 3


@dataclass(frozen=True, slots=True)
class AppView:
    """An application with its services, its contracts that are valid now, and its mode.

    `consumer` is whom the ensemble is for, empty for all that have none of their own. `contract` is
    the name of the leading one (highest priority, then first by name), which gives the weights and
    the size; bounds come from all of them. `labels` are the classes that the application declares,
    `after` says for each stage whose answers it reads. `signature` changes with whatever bears on
    selection, and with nothing else; `identity` tells registrations apart. `strange` are policies
    that name an algorithm that nobody knows, with what is wrong.
    """

    app: str
    consumer: str
    services: tuple[ServiceRegistered, ...]
    stages: tuple[str, ...]
    after: tuple[tuple[str, tuple[str, ...]], ...]
    labels: tuple[str, ...]
    contract: str
    weights: tuple[tuple[str, float], ...]
    bounds: tuple[Bound, ...]
    max_members: int
    explainable: bool
    chosen: Chosen
    strange: tuple[tuple[PolicySelected | None, str], ...]
    mode: str
    signature: str
    identity: str
    causes: tuple[str, ...]

    @property
    def asked(self) -> tuple[tuple[str, float], ...]:
        """Return the weights of the accuracies of single classes, by label."""
        return self._weights(CLASS)

    @property
    def asked_under(self) -> tuple[tuple[str, float], ...]:
        """Return the weights of the accuracies under conditions, by condition."""
        return self._weights(CONDITION)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return the conditions of which anything is asked, by weights or clauses."""
        bounds = [bound.what for bound in self.bounds if bound.what.startswith(CONDITION)]
        asked = (name for name, _ in self.asked_under)
        return tuple(dict.fromkeys((*asked, *(what.removeprefix(CONDITION) for what in bounds))))

    def _weights(self, begin: str) -> tuple[tuple[str, float], ...]:
        return tuple(
            (name.removeprefix(begin), weight)
            for name, weight in self.weights
            if name.startswith(begin)
        )


@dataclass(frozen=True, slots=True)
class _Basis:
    """The entries that a view rests on; equal ones make equal views."""

    registered: ApplicationRegistered
    consumer: str
    services: tuple[ServiceRegistered, ...]
    contracts: tuple[ContractRegistered, ...]
    policies: tuple[PolicySelected | None, ...]
    explainable: bool


class Views:
    """The views of applications, made again only when what they rest on has changed.

    `known` are the names of the algorithms that there are.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = tuple(known)
        self._made: dict[tuple[str, str], tuple[_Basis, AppView]] = {}

    def of(self, app: str, catalogue: Catalogue, now_ms: int, consumer: str = "") -> AppView | None:
        """Return how the catalogue describes an application now; None when not registered.

        None, too, for a consumer that has no ensemble of its own there.
        """
        basis = _basis(app, catalogue, now_ms, consumer)
        if basis is None:
            self._made.pop((app, consumer), None)
            return None
        known = self._made.get((app, consumer))
        if known is None or known[0] != basis:
            known = self._made[app, consumer] = (basis, _view(basis, self._known))
        return known[1]


def consumers_of(app: str, catalogue: Catalogue, now_ms: int) -> tuple[str, ...]:
    """Return the consumers for whom an ensemble of their own is selected now."""
    contracts = catalogue.by_app(ContractRegistered).get(app, ())
    return wishes.consumers(wishes.valid(contracts, now_ms)) if contracts else ()


def _basis(app: str, catalogue: Catalogue, now_ms: int, consumer: str) -> _Basis | None:
    registered = catalogue.get(ApplicationRegistered, app)
    if registered is None:
        return None
    contracts = wishes.valid(catalogue.by_app(ContractRegistered).get(app, ()), now_ms)
    if consumer and consumer not in wishes.consumers(contracts):
        return None
    known = catalogue.get(ConsumerRegistered, consumer) if consumer else None
    return _Basis(
        registered,
        consumer,
        catalogue.by_app(ServiceRegistered).get(app, ()),
        wishes.concerning(contracts, consumer),
        tuple(catalogue.get(PolicySelected, scope) for scope in wishes.scopes(app, consumer)),
        known is not None and known.explainable,
    )


def _view(basis: _Basis, known: tuple[str, ...]) -> AppView:
    registered, contracts = basis.registered, basis.contracts
    services = _services(registered, basis.services)
    lead = contracts[0] if contracts else None
    clauses = [(clause, contract.contract) for contract in contracts for clause in contract.clauses]
    bounds = tuple(bound for each in clauses if (bound := wishes.bound_of(*each)) is not None)
    weights = wishes.weights(lead)
    chosen, strange = wishes.chosen(basis.policies, lead, registered, known)
    size = _size(chosen, lead)
    explainable = basis.explainable or any(contract.explainable for contract in contracts)
    causes = [registered.event_id, *(lead.event_id for lead in contracts[:1])]
    after = tuple((stage.stage, stage.inputs) for stage in registered.stages if stage.inputs)
    return AppView(
        app=registered.app,
        consumer=basis.consumer,
        services=services,
        stages=tuple(sorted({service.stage for service in services})),
        after=after,
        labels=registered.classes,
        contract=lead.contract if lead else "",
        weights=weights,
        bounds=bounds,
        max_members=max(1, size),
        explainable=explainable,
        chosen=chosen,
        strange=strange,
        mode=wishes.mode(basis.policies),
        signature=stable_id(
            *(fingerprint(service) for service in services),
            repr((weights, bounds, size, lead.contract if lead else "", explainable, after)),
            repr((chosen.name, sorted(chosen.told.items()))),
        ),
        identity=f"{registered.app_id}/{registered.registered_at}",
        causes=(*causes, *(service.event_id for service in services)),
    )


def _size(chosen: Chosen, lead: ContractRegistered | None) -> int:
    told = chosen.told.get(wishes.SIZE, "")
    if told.isdecimal() and int(told):
        return int(told)
    return lead.max_members if lead else DEFAULT_MEMBERS


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


def ready(view: AppView, catalogue: Catalogue, now_ms: int) -> frozenset[str]:
    """Return the services of an application that have a ready instance now."""
    instances = catalogue.by_app(InstanceReported).get(view.app, ())
    return frozenset(i.service for i in instances if i.health == "ready" and i.expires_at > now_ms)


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


def _services(
    registered: ApplicationRegistered, services: Iterable[ServiceRegistered]
) -> tuple[ServiceRegistered, ...]:
    """Return the services that the stages name; all of the application when they name none."""
    named = {service for stage in registered.stages for service in stage.services}
    own = [s for s in services if not named or s.service in named]
    return tuple(sorted(own, key=lambda s: s.service))
