"""What a registration becomes: events with stable ids, checked before they are sent. Pure.

Ids depend on application, run and names alone, so that registering again changes nothing: an
event whose content is the same has the same `event_id`.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from placement.authority import APPLY, PLACE
from processors import vocabulary
from processors.contracts.checks import Limits, limits_of, reasons_against
from processors.graphs.checking import problems
from processors.selecting.ensembles import CLASS, CONDITION, PARTIAL
from processors.selecting.wishes import OBJECTIVES
from schemas.authority import AVOID, CANARY, SHARE, TAKES
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import (
    EnsembleSelected,
    PlacementDecided,
    PlacementRequested,
    ServiceDemand,
)
from schemas.errors import InvalidEvent
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    MetricDefined,
    PolicySelected,
    ServiceRegistered,
)
from streams.errors import RegistrationError
from streams.forms import contracts as contract_forms
from streams.forms import services as service_forms
from streams.plain_events import build
from workers.runtimes.errors import BrokenModel
from workers.runtimes.options import options_of
from workers.settings import Identity

E = TypeVar("E", bound=Event)
Plain = Mapping[str, Any]
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_POLICIES = (APPLY, CANARY, SHARE, TAKES)
"""How the scopes of policies begin that are of one service."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What ends an application: the demand that its services stop, then tombstones."""

    request: PlacementRequested
    services: tuple[str, ...]
    tombstones: tuple[tuple[type[Event], str], ...]


def application(plain: Plain, now_ms: int) -> ApplicationRegistered:
    """Return the registration of an application; stages need no ids, they get them.

    Raises RegistrationError for names that cannot be used and stages that make no graph.
    """
    made = unchecked(plain, now_ms)
    for wrong in problems(made):
        if not wrong.mild:
            raise RegistrationError(f"application {made.app}: {wrong}")
    return made


def unchecked(plain: Plain, now_ms: int) -> ApplicationRegistered:
    """Return the same of an application whose graph nobody has looked at.

    Raises RegistrationError for names that cannot be used.
    """
    app, run = _name(plain, "app"), str(plain.get("run") or "default")
    stages = [
        {**stage, "stage_id": stable_id("stage", app, run, str(stage.get("stage")))}
        for stage in tables(plain.get("stages", []), "stages")
    ]
    owner = plain.get("owner") or plain.get("user") or ""
    made = _built(
        ApplicationRegistered,
        {"user": "", **plain, "owner": owner, "run": run, "stages": stages},
        now_ms,
        app_id=stable_id("app", app, run),
    )
    for stage in made.stages:
        _name({"stage": stage.stage}, "stage")
        for name in stage.services:
            _name({"service": name}, "service")
    return made


def service(plain: Plain, run: str, now_ms: int) -> ServiceRegistered:
    """Return the registration of a service of an application and run."""
    name, app = _name(plain, "service"), _name(plain, "app")
    defaults = {"image": "", "model": name, "format": "onnx", "cpu_milli": 100, "memory_mib": 64}
    if plain.get("image") and not plain.get("artifact"):
        defaults |= {"model": "", "format": "", "artifact": ""}
    elif "artifact" not in plain:
        told = "the URI of a model, or image, a container's"
        raise RegistrationError(f"service {name} needs the field artifact, {told}")
    identity = stable_id("service", app, run, name)
    made = _built(ServiceRegistered, {**defaults, **plain}, now_ms, service_id=identity)
    for field in ("cpu_milli", "memory_mib", "replicas"):
        if getattr(made, field) < 1:
            raise RegistrationError(f"service {name}: {field} must be at least 1")
    for field in ("latency_ms", "cost"):
        _check_amount(f"service {name}: {field}", getattr(made, field))
    try:
        options_of(made)
    except BrokenModel as error:
        raise RegistrationError(f"service {name}: {error}") from error
    if made.accuracy is not None and not 0 <= made.accuracy <= 1:
        raise RegistrationError(f"service {name}: accuracy must be between 0 and 1")
    for wrong in service_forms.wrong(made):
        raise RegistrationError(f"service {name}: {wrong}")
    return made


def measured(
    known: ServiceRegistered, latency_ms: float | None, environment: Mapping[str, str], now_ms: int
) -> ServiceRegistered:
    """Return a registration with what was measured of its service; the rest stays as it is.

    Without a time of one task, `latency_ms` None, the declared one stays.
    """
    entries = {entry.key: entry.value for entry in known.environment} | dict(environment)
    bare = replace(
        known,
        latency_ms=known.latency_ms if latency_ms is None else latency_ms,
        environment=tuple(KeyValue(key=key, value=value) for key, value in entries.items()),
    )
    return identified(bare, now_ms)


def remeasured(known: ServiceRegistered, found: Plain, now_ms: int) -> ServiceRegistered:
    """Return a registration with other values of some fields; lists become tuples."""
    told: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in found.items()
    }
    return identified(replace(known, **told), now_ms)


def consumer(plain: Plain, now_ms: int) -> ConsumerRegistered:
    """Return the registration of a consumer."""
    _name(plain, "consumer")
    return _built(ConsumerRegistered, plain, now_ms)


def contract(
    plain: Plain, defined: Limits, now_ms: int, *, undeclared: bool = False
) -> ContractRegistered:
    """Return the registration of a contract; `defined` are the metrics of MetricDefined.

    Clauses may be written as `forms.contracts` tells. Raises RegistrationError for a clause that
    nothing could ever answer, and, unless `undeclared`, for a metric that nobody reports.
    """
    name = _name(plain, "contract")
    lent = {"owner": plain.get("consumer", ""), "consumer": ""}
    made = _built(ContractRegistered, lent | contract_forms.spelled(plain), now_ms)
    unknown_ones = [] if undeclared else contract_forms.unknown_metrics(made, defined)
    for wrong in (*unknown_ones, *reasons_against(made, defined)):
        raise RegistrationError(f"contract {name}: {wrong}")
    for one in made.clauses:
        if one.min_count < 1:
            raise RegistrationError(f"contract {name}, clause {one.name}: min_count is below 1")
    for weight in made.weights:
        if not vocabulary.known(weight.objective) or not weight.objective.startswith(PARTIAL):
            named = (f"{CLASS}LABEL", f"{CONDITION}NAME=VALUE")
            _one_of(f"contract {name}: objective", weight.objective, (*OBJECTIVES, *named))
        _check_amount(f"contract {name}: weight of {weight.objective}", weight.weight)
    if made.max_members < 1 or made.version < 1:
        raise RegistrationError(f"contract {name}: max_members and version must be at least 1")
    return made


def next_contract(
    plain: Plain, known: Catalogue, now_ms: int, *, undeclared: bool = False
) -> ContractRegistered:
    """Return a contract with its version, one more than what stands if it says another thing.

    `known` has contracts and MetricDefined. Raises RegistrationError as `contract` does, and for a
    version that is older than what stands, or stands with other words.
    """
    defined = metrics_defined(known)

    def made(version: int) -> ContractRegistered:
        versioned = {"version": version, **plain}
        return contract(versioned, defined, now_ms, undeclared=undeclared)

    standing = known.get(ContractRegistered, str(plain.get("contract")))
    if standing is None:
        return made(1)
    same = made(standing.version)
    if same.event_id == standing.event_id:
        return same
    if "version" not in plain:
        return made(standing.version + 1)
    if same.version <= standing.version:
        raise RegistrationError(
            f"contract {same.contract}: version {same.version} is no newer than "
            f"{standing.version}, which stands; give a higher one, or none"
        )
    return same


def tables(value: Any, name: str) -> list[dict[str, Any]]:
    """Return a list of tables as it is. Raises RegistrationError for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RegistrationError(f"{name} must be a list of tables, each headed [[{name}]]")
    return value


def pairs(texts: Iterable[str], what: str) -> dict[str, str]:
    """Return `key=value` texts as a table. Raises RegistrationError for one without '='."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise RegistrationError(f"{what} {text!r}: write name=value")
        found[key] = value
    return found


def number(text: str, what: str) -> float:
    """Return a number. Raises RegistrationError when the text is none."""
    try:
        return float(text)
    except ValueError as error:
        raise RegistrationError(f"{what}: {text!r} is no number") from error


def metrics_defined(catalogue: Catalogue) -> dict[str, tuple[float, float]]:
    """Return the metrics that applications have declared, with their least and largest values."""
    return limits_of(catalogue.of(MetricDefined))


def identities(app: ApplicationRegistered, instances: int) -> list[Identity]:
    """Return who may report for an application: each instance of each service of its stages.

    Stages without services, and applications without stages, have one identity themselves.
    """
    whole = Identity(app=app.app, run=app.run, user=app.user)
    found = []
    for stage in app.stages:
        part = whole.model_copy(update={"stage": stage.stage})
        if not stage.services:
            found.append(part)
        for name in stage.services:
            for number in range(instances):
                unique = stable_id("instance", app.app, app.run, stage.stage, name, number)
                instance = f"{name}.{unique[:12]}"
                found.append(part.model_copy(update={"service": name, "instance": instance}))
    return found or [whole]


def removal(app: str, catalogue: Catalogue, now_ms: int) -> Removal:
    """Return what ends an application and all that belongs to it.

    Raises RegistrationError when there is no such application.
    """
    registered = catalogue.get(ApplicationRegistered, app)
    if registered is None:
        raise unknown("application", app, catalogue.of(ApplicationRegistered))
    services = sorted(k for k, v in catalogue.of(ServiceRegistered).items() if v.app == app)
    placed = sorted(k for k, v in catalogue.of(PlacementDecided).items() if v.app == app)
    promised = sorted(k for k, v in catalogue.of(ContractRegistered).items() if v.app == app)
    chosen = sorted(k for k, v in catalogue.of(EnsembleSelected).items() if v.app == app)
    stopping = tuple(sorted({*services, *placed}))
    known = catalogue.of(PolicySelected)
    scopes = {scope for name in stopping for scope in policies_of(name, known)}
    ruled = sorted(scopes | ({f"{PLACE}/{app}"} & known.keys()))
    request = PlacementRequested(
        event_id=stable_id("removal", registered.event_id, now_ms),
        kind="removal",
        subject=app,
        app=app,
        demands=tuple(ServiceDemand(service=name, replicas=0) for name in stopping),
        reason=f"application {app} was removed",
        requested_at=now_ms,
        causes=(registered.event_id,),
    )
    kinds: tuple[tuple[type[Event], Sequence[str]], ...] = (
        (EnsembleSelected, chosen),
        (ContractRegistered, promised),
        (PlacementDecided, placed),
        (ServiceRegistered, services),
        (PolicySelected, ruled),
        (ApplicationRegistered, [app]),
    )
    tombstones = tuple((kind, name) for kind, names in kinds for name in names)
    return Removal(request, stopping, tombstones)


def policies_of(service: str, scopes: Iterable[str]) -> list[str]:
    """Return which scopes of policies are those of a service, in order: they go with it."""
    own = {f"{of}{service}" for of in _POLICIES}
    return sorted(s for s in scopes if s in own or s.startswith(f"{AVOID}{service}/"))


def unknown(what: str, name: str, known: Iterable[str]) -> RegistrationError:
    """Return the error for a name that nobody has, with the names that there are."""
    listed = ", ".join(sorted(known)) or "none"
    return RegistrationError(f"no {what} {name!r}; registered: {listed}")


def _built(kind: type[E], plain: Plain, now_ms: int, **ids: str) -> E:
    """Return the event with its ids; its `event_id` tells its content, not its time."""
    given = dict(plain) | ids | {"registered_at": 0, "event_id": ""}
    try:
        made = build(kind, given)
    except InvalidEvent as error:
        raise RegistrationError(str(error)) from error
    return identified(made, now_ms)


def identified(made: E, now_ms: int) -> E:
    """Return an event with the id of its content and the time of its registration."""
    bare = replace(made, event_id="", registered_at=0)  # type: ignore[type-var]  # every event is a dataclass
    identity = stable_id("registered", type(made).__name__, repr(bare))
    return replace(bare, event_id=identity, registered_at=now_ms)  # type: ignore[type-var]  # likewise


def _name(plain: Plain, field: str) -> str:
    name = plain.get(field)
    if name is None:
        raise RegistrationError(f"{field} is needed: give its name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RegistrationError(
            f"{field} {name!r}: use up to 63 letters, digits, '.', '_' and '-', "
            "with a letter or digit at both ends"
        )
    return name


def _check_amount(what: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise RegistrationError(f"{what}: {value} is no finite number of at least 0")


def _one_of(what: str, value: str, known: Iterable[str]) -> None:
    listed = tuple(known)
    if value not in listed:
        raise RegistrationError(f"{what}: {value!r} is none of {', '.join(listed) or 'none'}")
