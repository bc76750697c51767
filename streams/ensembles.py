"""Ensembles as commands show and change them: policies of selection, and algorithms compared. Pure.

A comparison rests on what is registered and observed: the observations that the topic still holds
are taken as select takes them, and every algorithm is asked about the same profiles.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from processors.errors import ProcessorError
from processors.selecting import wishes
from processors.selecting.choice import Choice, choose
from processors.selecting.estimating import caution_of
from processors.selecting.own import algorithms
from processors.selecting.proposals import Selector
from processors.selecting.state import AppState
from processors.selecting.steps import SelectParams
from processors.selecting.triggers import take
from processors.selecting.world import AppView, Views
from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.records import KeyValue
from schemas.registrations import ApplicationRegistered, PolicySelected
from streams.errors import RegistrationError
from streams.registration import unknown


def selected(catalogue: Catalogue, app: str, consumer: str) -> EnsembleSelected:
    """Return the ensemble in force; raises RegistrationError when there is none."""
    key = "/".join(filter(None, (app, consumer)))
    known = catalogue.of(EnsembleSelected)
    if key not in known:
        raise unknown("ensemble of", key, known)
    return known[key]


def policy(
    catalogue: Catalogue,
    scope: str,
    algorithm: str | None,
    told: Mapping[str, str],
    unset: Iterable[str],
    now_ms: int,
) -> PolicySelected:
    """Return the policy of a scope with another algorithm or other parameters; the rest stays."""
    known = catalogue.get(PolicySelected, scope)
    present = {p.key: p.value for p in known.parameters} if known else {}
    kept = {k: v for k, v in {**present, **told}.items() if k not in set(unset)}
    try:
        caution_of(kept)
    except ProcessorError as error:
        raise RegistrationError(str(error)) from error
    parameters = tuple(KeyValue(key=key, value=value) for key, value in sorted(kept.items()))
    name = algorithm if algorithm is not None else (known.algorithm if known else "")
    return PolicySelected(
        scope=scope,
        component=wishes.SCOPE,
        algorithm=name,
        parameters=parameters,
        mode=known.mode if known else "",
        selected_at=now_ms,
        event_id=stable_id("policy", scope, name, repr(parameters), now_ms),
    )


def pin(
    catalogue: Catalogue, app: str, consumer: str, services: Sequence[str], now_ms: int
) -> PolicySelected:
    """Return the policy that lets these services answer; raises RegistrationError for strangers."""
    view = viewed(catalogue, app, consumer, now_ms, {})
    names = {service.service for service in view.services}
    for name in services:
        if name not in names:
            raise unknown(f"service of {app}", name, names)
    scope = wishes.scopes(app, consumer)[0]
    return policy(catalogue, scope, None, {wishes.PIN: ",".join(services)}, (), now_ms)


def unpin(catalogue: Catalogue, app: str, consumer: str, now_ms: int) -> PolicySelected:
    """Return the policy without pinned services; raises RegistrationError where none are."""
    scope = wishes.scopes(app, consumer)[0]
    known = catalogue.get(PolicySelected, scope)
    if known is None or wishes.PIN not in {p.key for p in known.parameters}:
        raise RegistrationError(f"nothing is pinned by {scope}")
    return policy(catalogue, scope, None, {}, (wishes.PIN,), now_ms)


def viewed(
    catalogue: Catalogue, app: str, consumer: str, now_ms: int, others: Mapping[str, Selector]
) -> AppView:
    """Return an application as select sees it; raises RegistrationError where it is not there."""
    if catalogue.get(ApplicationRegistered, app) is None:
        raise unknown("application", app, catalogue.of(ApplicationRegistered))
    view = Views(algorithms(others)).of(app, catalogue, now_ms, consumer)
    if view is None:
        raise RegistrationError(f"{consumer} has no ensemble of its own with {app}: no contract")
    return view


def compared(
    catalogue: Catalogue,
    view: AppView,
    seen: Iterable[Observation],
    names: Sequence[str],
    others: Mapping[str, Selector],
) -> dict[str, Choice]:
    """Return what each algorithm would select now; raises RegistrationError for unknown ones."""
    known = algorithms(others)
    if strangers := [name for name in names if name not in known]:
        raise unknown("algorithm", strangers[0], known)
    params = SelectParams()
    state = AppState(app=view.app, consumer=view.consumer)
    for one in seen:
        take(state, one, params.windows)
    standing = catalogue.get(EnsembleSelected, "/".join(filter(None, (view.app, view.consumer))))
    state.members = standing.members if standing is not None else ()
    found = {}
    for name in names or known:
        asked = replace(view, chosen=replace(view.chosen, name=name, pinned=()))
        choice = choose(state, asked, 0, params.known, known)
        if choice is not None:
            found[name] = choice
    return found
