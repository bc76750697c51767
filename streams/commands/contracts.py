"""`weir contracts`: what consumers were promised of applications, and how it is kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.contracts_import import import_
from streams.commands.contracts_look import explain, history, show, status
from streams.commands.nouns import (
    AsJson,
    Strict,
    add_looking,
    add_removing,
    check_application,
    check_contract_owner,
    check_owner,
    given,
    opened,
    send_changed,
)

if TYPE_CHECKING:
    from schemas.registrations import ContractRegistered
    from streams.entries import Entries
    from streams.forms.files import Entry

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("contract", "app", "consumer", "clauses", "members", "version")
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="TOML, JSON or YAML with one or many; options win."),
]
Schema = Annotated[
    bool, typer.Option("--schema", help="Print the JSON schema of such files, and end.")
]
_NAMES_ONE = ("contract", "clauses")
_OPTIONS = "the options"


@app.command()
def register(
    contract: Annotated[str | None, typer.Argument(help="Its name.")] = None,
    *,
    of: Annotated[str | None, typer.Option("--app", help="Application it concerns.")] = None,
    consumer: Annotated[str | None, typer.Option(help="Consumer; all when absent.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    clause: Annotated[
        list[str] | None,
        typer.Option(
            help="'name: metric.statistic >= 0.9 over 10s', name and statistic if need be; repeat."
        ),
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option(help="objective=share for the selection; repeat.")
    ] = None,
    max_members: Annotated[int | None, typer.Option(help="Most services in an ensemble.")] = None,
    version: Annotated[int | None, typer.Option(help="Rises by itself; or this.")] = None,
    file: File = None,
    schema: Schema = False,
    undeclared: Annotated[
        bool, typer.Option("--undeclared", help="Accept metrics that nobody has declared.")
    ] = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Register contracts: clauses on metrics that somebody reports. Of many all are good, or none.

    A contract that says another thing than the one that stands is its next version.
    Example: weir contracts register desk --app digits --clause 'accuracy >= 0.9 over 10s'
    --clause 'response_latency.p95 <= 200 over 10s' --weight accuracy=0.7 --weight cost=0.3
    """
    from streams import registration

    if schema:
        _print_schema()
        return
    options = given(
        contract=contract,
        app=of,
        consumer=consumer,
        owner=owner,
        clauses=list(clause or ()),
        weights=[
            {"objective": name, "weight": registration.number(share, f"weight {name}")}
            for name, share in registration.pairs(weight or (), "weight").items()
        ],
        max_members=max_members,
        version=version,
    )
    found = _found(file, options)
    with opened() as entries:
        events = _built(found, entries, undeclared=undeclared)
        warnings = _checked(entries, events, strict=strict)
        changed = set(send_changed(entries, events))
    _show(events, changed, warnings, as_json=as_json)


@app.command()
def check(
    file: Annotated[Path, typer.Option("--file", "-f", help="TOML, JSON or YAML.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check contracts without a stack; what is wrong is told with its place, exit code 4.

    Metrics that Weir does not report itself are named: define them, or have them reported.
    """
    from streams.commands.output import show_rows
    from streams.forms import contracts as contract_forms
    from streams.forms import files as form_files
    from streams.registration import contract as registered

    made = form_files.built(
        form_files.entries(file, contract_forms.FORM),
        contract_forms.FORM,
        lambda plain: registered(plain, {}, 0, undeclared=True),
    )
    rows = [
        (
            one.contract,
            one.app,
            [f"{clause.name}: {contract_forms.words(clause)}" for clause in one.clauses],
            contract_forms.undeclared(one),
        )
        for one in made
    ]
    show_rows(("contract", "app", "clauses", "to be declared"), rows, as_json=as_json)


@app.command()
def template() -> None:
    """Print a form in TOML with every field of a contract, to fill in."""
    from streams.forms import contracts as contract_forms
    from streams.forms import schema as form_schema

    typer.echo(form_schema.template(contract_forms.FORM), nl=False)


def _checked(
    entries: "Entries", events: "list[ContractRegistered]", *, strict: bool
) -> dict[str, list[str]]:
    """Check owners and applications; return warnings by contract. Raises RegistrationError."""
    for event in events:
        check_contract_owner(entries, event.contract, event.owner)
    return {
        one.contract: check_application(entries, "contract", one.contract, one.app, strict=strict)
        for one in events
    }


def _print_schema() -> None:
    import json

    from streams.forms import contracts as contract_forms

    typer.echo(json.dumps(contract_forms.schema(), indent=2))


def _found(file: Path | None, options: dict[str, Any]) -> "list[Entry]":
    from streams.forms import contracts as contract_forms
    from streams.forms import files as form_files

    if file is None:
        return [form_files.Entry(_OPTIONS, options)]
    found = form_files.entries(file, contract_forms.FORM)
    alone = [name for name in _NAMES_ONE if name in options]
    if len(found) > 1 and alone:
        raise typer.BadParameter(f"{file} has {len(found)} contracts; {alone[0]} goes with one")
    return [form_files.Entry(one.where, one.plain | options) for one in found]


def _built(
    found: "list[Entry]", entries: "Entries", *, undeclared: bool
) -> "list[ContractRegistered]":
    """Return the events of tables, each as the next version of what stands."""
    from schemas.registrations import ContractRegistered, MetricDefined
    from streams import registration
    from streams.forms import contracts as contract_forms
    from streams.forms import files as form_files
    from workers.clock import wall_ms

    known = entries.catalogue(ContractRegistered, MetricDefined)
    now_ms = wall_ms()
    acting = given(owner=entries.settings.identity.user or None)

    def make(plain: dict[str, Any]) -> ContractRegistered:
        own = {} if plain.get("owner") else acting
        return registration.next_contract(plain | own, known, now_ms, undeclared=undeclared)

    if found[0].where == _OPTIONS:
        return [make(found[0].plain)]
    return form_files.built(found, contract_forms.FORM, make)


def _show(
    events: "list[ContractRegistered]",
    changed: set[str],
    warnings: dict[str, list[str]],
    *,
    as_json: bool,
) -> None:
    import json

    outcomes = [
        {
            "contract": event.contract,
            "version": event.version,
            "event_id": event.event_id,
            "changed": event.contract in changed,
            "warnings": warnings.get(event.contract, []),
        }
        for event in events
    ]
    if as_json:
        typer.echo(json.dumps(outcomes[0] if len(outcomes) == 1 else outcomes, indent=2))
        return
    for event in events:
        told = "registered" if event.contract in changed else "already registered"
        clauses = f"{len(event.clauses)} clauses, version {event.version}"
        typer.echo(f"{told}: contract {event.contract} with {clauses}")


def _row(entry: Any, _: int) -> tuple[Any, ...]:
    from streams.forms.contracts import words

    clauses = [words(clause) for clause in entry.clauses]
    return (entry.contract, entry.app, entry.consumer, clauses, entry.max_members, entry.version)


add_looking(app, "ContractRegistered", "contract", COLUMNS, _row)


def _check(entries: Any, known: Any) -> None:
    check_owner(entries, "contract", known.contract, known.owner)


add_removing(app, "ContractRegistered", "contract", _check)
app.command("import")(import_)
app.command()(show)
app.command()(status)
app.command()(history)
app.command()(explain)
