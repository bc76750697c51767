"""`weir ensembles`: who answers, why, by which algorithm, and what a person wants instead."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.ensemble_profiles import COLUMNS as PROFILED
from streams.commands.ensemble_profiles import observed, profiles
from streams.commands.nouns import AsJson, check_steering, opened

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from schemas.decisions import EnsembleSelected
    from schemas.registrations import PolicySelected
    from streams.ensembles import Promise
    from streams.entries import Entries

app = typer.Typer(add_completion=False, no_args_is_help=True)
App = Annotated[str, typer.Argument(metavar="APP", help="Name of the application.")]
Consumer = Annotated[str, typer.Option(help="Of this consumer's own ensemble.")]
COLUMNS = (
    *("app", "consumer", "members", "shadows", "algorithm", "accuracy", "latency ms", "cost"),
    *("score", "pinned", "unmet", "generation"),
)
COMPARED = ("algorithm", "members", "accuracy", "p95 ms", "cost", "value", "gap", "unmet", "failed")


app.command()(profiles)


@app.callback()
def ensembles() -> None:
    """Ensembles: which services answer an application's requests, and why."""


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List the ensembles in force: for each application, and for consumers with their own."""
    from schemas.decisions import EnsembleSelected
    from streams.commands.output import show_rows

    with opened() as entries:
        known = entries.of(EnsembleSelected)
    show_rows(COLUMNS, [_row(known[key]) for key in sorted(known)], as_json=as_json)


@app.command()
def explain(
    of: App,
    *,
    consumer: Consumer = "",
    generation: Annotated[
        int | None, typer.Option(min=1, help="This selection, if the log still holds it.")
    ] = None,
    known: Annotated[
        bool, typer.Option("--profiles", help="And what is known of its members by now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show why an ensemble was selected: parts of its score, clauses met or not, runners-up."""
    from schemas.decisions import EnsembleSelected
    from schemas.introspect import to_plain
    from schemas.registrations import ContractRegistered
    from streams import ensembles as pure
    from streams.commands.output import show_rows

    with opened() as entries:
        if generation is None:
            found = pure.selected(entries.catalogue(EnsembleSelected), of, consumer)
        else:
            found = _older(entries, of, consumer, generation)
        then = entries.catalogue_at(found.catalogue, ContractRegistered)
    promises = pure.promises(found, then.by_app(ContractRegistered).get(of, ()))
    members = {member.service for member in found.members}
    seen = [one for one in observed(of) if one["service"] in members] if known else []
    if as_json:
        plain = to_plain(EnsembleSelected)(found)
        told = {**plain, "clauses": [asdict(one) for one in promises]}
        typer.echo(json.dumps(told | ({"profiles": seen} if known else {}), indent=2))
        return
    _tell(found, promises)
    if known:
        show_rows(PROFILED, [[one.get(name) for name in PROFILED] for one in seen], as_json=False)


@app.command()
def pin(
    of: App,
    services: Annotated[list[str], typer.Argument(help="Who shall answer, and nobody else.")],
    *,
    consumer: Consumer = "",
    as_json: AsJson = False,
) -> None:
    """Let these services answer, whatever is observed, until they are unpinned. A policy."""
    from streams import ensembles as pure
    from workers.clock import wall_ms

    with opened() as entries:
        known = known_of(entries, of, change=True)
        made = pure.pin(known, of, consumer, services, wall_ms())
        entries.send([made])
    _changed(made, f"{'+'.join(services)} answers for {consumer or of} from now on", as_json)


@app.command()
def unpin(of: App, *, consumer: Consumer = "", as_json: AsJson = False) -> None:
    """Let the algorithm in force select again."""
    from streams import ensembles as pure
    from workers.clock import wall_ms

    with opened() as entries:
        known = known_of(entries, of, change=True, ending=True)
        made = pure.unpin(known, of, consumer, wall_ms())
        entries.send([made])
    _changed(made, f"the ensemble of {consumer or of} is selected again", as_json)


@app.command()
def policy(
    of: Annotated[str, typer.Argument(metavar="[APP]", help="None: for all.")] = "",
    *,
    consumer: Consumer = "",
    algorithm: Annotated[
        str | None, typer.Option(help="By which it is selected; '' leaves it to the contract.")
    ] = None,
    told: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter.")
    ] = None,
    unset: Annotated[list[str] | None, typer.Option(help="A parameter back to default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show or choose the algorithm and its parameters; select heeds it at once.

    Parameters of all: size, caution. Of single ones: explore_ms, gamma, alpha, beta,
    fraction.STAGE, metric.NAME.
    """
    from processors.selecting import wishes
    from processors.selecting.own import algorithms
    from schemas.registrations import PolicySelected
    from streams import ensembles as pure
    from streams.plugins.selecting import installed
    from streams.registration import pairs, unknown
    from workers.clock import wall_ms

    scope = wishes.scopes(of, consumer)[0] if of else wishes.SCOPE
    with opened() as entries:
        changing = bool(algorithm is not None or told or unset)
        ending = bool(unset) and algorithm is None and not told
        known = known_of(entries, of, change=changing, ending=ending)
        if not changing:
            standing = known.get(PolicySelected, scope)
            _show_policy(scope, standing, as_json=as_json)
            return
        if algorithm and algorithm not in (names := algorithms(installed())):
            raise unknown("algorithm", algorithm, names)
        given = pairs(told or (), "parameter")
        made = pure.policy(known, scope, algorithm, given, unset or (), wall_ms())
        entries.send([made])
    _show_policy(scope, made, as_json=as_json)


@app.command()
def compare(
    of: App,
    *,
    consumer: Consumer = "",
    names: Annotated[
        list[str] | None, typer.Option("--algorithm", help="This one alone; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what every algorithm would select now, from the same observed profiles."""
    from schemas.observing import Observation
    from streams import ensembles as pure
    from streams.commands.output import show_rows
    from streams.plugins.selecting import installed
    from workers.clock import wall_ms

    others = installed()
    with opened() as entries:
        known = known_of(entries, of)
        view = pure.viewed(known, of, consumer, wall_ms(), others)
        seen = [e for e in entries.events("weir.observations", of) if isinstance(e, Observation)]
    found = pure.compared(known, view, seen, names or (), others)
    rows = [
        (
            name,
            list(choice.best.services),
            choice.best.accuracy,
            choice.best.latency_high_ms,
            choice.best.cost,
            choice.best.value,
            choice.found.gap,
            [one.clause for one in choice.best.unmet],
            choice.failure,
        )
        for name, choice in found.items()
    ]
    show_rows(COMPARED, rows, as_json=as_json)


def known_of(
    entries: "Entries", of: str, *, change: bool = False, ending: bool = False
) -> "Catalogue":
    """Return what selections rest on; with `change`, if whoever asks may change the application.

    Raises RegistrationError, also where it is not registered, unless something is `ending`.
    """
    from schemas.decisions import EnsembleSelected
    from schemas.registrations import (
        ApplicationRegistered,
        ConsumerRegistered,
        ContractRegistered,
        PolicySelected,
        ServiceRegistered,
    )

    known = entries.catalogue(
        ApplicationRegistered,
        ConsumerRegistered,
        ContractRegistered,
        EnsembleSelected,
        PolicySelected,
        ServiceRegistered,
    )
    check_steering(entries, known, of, change=change, ending=ending)
    return known


def _older(entries: "Entries", of: str, consumer: str, generation: int) -> "EnsembleSelected":
    from schemas.decisions import EnsembleSelected
    from streams.errors import RegistrationError

    wanted = (of, consumer, generation)
    for one in entries.events("weir.ensembles"):
        if isinstance(one, EnsembleSelected) and (one.app, one.consumer, one.generation) == wanted:
            return one
    raise RegistrationError(f"the log holds no selection {generation} of {consumer or of}")


def _row(one: "EnsembleSelected") -> tuple[Any, ...]:
    shadows = [m.service for m in one.members if m.role == "shadow"]
    return (
        one.app,
        one.consumer,
        [m.service for m in one.members if m.role != "shadow"],
        shadows,
        one.algorithm,
        one.predicted_accuracy,
        one.predicted_latency_ms,
        one.predicted_cost,
        one.score,
        "yes" if one.pinned else "",
        [clause.clause for clause in one.unmet],
        one.generation,
    )


def _tell(found: "EnsembleSelected", promises: "list[Promise]") -> None:
    from streams.commands.output import show_rows

    whose = f"{found.app} for {found.consumer}" if found.consumer else found.app
    typer.echo(f"selection {found.generation} of {whose}, by {found.algorithm}: {found.reason}")
    show_rows(
        ("member", "role", "stage", "node", "weight", "weights per class"),
        [
            (
                m.service,
                m.role,
                m.stage,
                m.node,
                m.weight,
                [f"{c.label} {c.weight:g}" for c in m.class_weights],
            )
            for m in found.members
        ],
        as_json=False,
    )
    show_rows(
        ("part of the score", "predicted", "scaled", "weight"),
        [(p.objective, p.value, p.scaled, p.weight) for p in found.scores],
        as_json=False,
    )
    for one in promises:
        typer.echo(promise_words(one))
    show_rows(
        ("runner-up", "score", "accuracy", "latency ms", "cost"),
        [(list(a.services), a.score, a.accuracy, a.latency_ms, a.cost) for a in found.alternatives],
        as_json=False,
    )
    if found.gap:
        typer.echo(f"the optimum may be better by {found.gap:.4g}")


def promise_words(one: "Promise") -> str:
    """Say whether a clause is met, and how far the prediction is from what is promised."""
    head = f"{'met' if one.met else 'not met'}: {one.clause}: "
    if one.predicted is None or one.spare is None:
        return f"{head}{one.threshold:g} is promised; the selection does not tell by how much"
    far = f"{one.spare:.3g} to spare" if one.met else f"{-one.spare:.3g} short"
    return f"{head}{one.predicted:g} where {one.threshold:g} is promised, {far}"


def _show_policy(scope: str, known: "PolicySelected | None", *, as_json: bool) -> None:
    from streams.commands.output import show_rows

    rows = [("algorithm", (known.algorithm if known else "") or "(default)")]
    rows += [(p.key, p.value) for p in (known.parameters if known else ())]
    rows += [("scope", scope)] if as_json else []
    show_rows((scope if not as_json else "name", "value"), rows, as_json=as_json)


def _changed(made: "PolicySelected", told: str, as_json: bool) -> None:
    from streams.commands.output import show_outcome

    show_outcome({"scope": made.scope, "event_id": made.event_id}, told, as_json=as_json)
