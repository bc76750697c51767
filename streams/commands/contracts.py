"""`weir contracts`: what consumers were promised of applications."""

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    Strict,
    add_looking,
    add_removing,
    check_application,
    check_owner,
    given,
    opened,
    send_changed,
    table_of,
)

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("contract", "app", "consumer", "clauses", "members", "version")


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
    version: Annotated[int | None, typer.Option(help="Rises with each change.")] = None,
    file: Annotated[Path | None, typer.Option(help="The same as TOML; options win.")] = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Register a contract: clauses on metrics that somebody reports.

    Example: weir contracts register desk --app digits --clause 'accuracy >= 0.9 over 10s'
    --clause 'response_latency.p95 <= 200 over 10s' --weight accuracy=0.7 --weight cost=0.3
    """
    from schemas.registrations import MetricDefined
    from streams import registration
    from streams.commands.output import show_outcome
    from workers.clock import wall_ms

    options = given(
        contract=contract,
        app=of,
        consumer=consumer,
        owner=owner,
        clauses=[registration.clause(text) for text in clause or ()],
        weights=[
            {"objective": name, "weight": registration.number(share, f"weight {name}")}
            for name, share in registration.pairs(weight or (), "weight").items()
        ],
        max_members=max_members,
        version=version,
    )
    with opened() as entries:
        defined = registration.metrics_defined(entries.catalogue(MetricDefined))
        acting = given(owner=entries.settings.identity.user or None)
        event = registration.contract(acting | table_of(file) | options, defined, wall_ms())
        check_standing(entries, event, event.owner)
        warnings = check_application(entries, "contract", event.contract, event.app, strict=strict)
        changed = bool(send_changed(entries, [event]))
    outcome = {
        "contract": event.contract,
        "event_id": event.event_id,
        "changed": changed,
        "warnings": warnings,
    }
    told = "registered" if changed else "already registered"
    words = f"{told}: contract {event.contract} with {len(event.clauses)} clauses"
    show_outcome(outcome, words, as_json=as_json)


def _row(entry: Any, _: int) -> tuple[Any, ...]:
    clauses = [
        f"{c.metric}.{c.statistic} {c.operator} {c.threshold:g} over {c.window_ms} ms"
        for c in entry.clauses
    ]
    return (entry.contract, entry.app, entry.consumer, clauses, entry.max_members, entry.version)


add_looking(app, "ContractRegistered", "contract", COLUMNS, _row)


def check_standing(entries: Any, event: Any, declared: str) -> None:
    """Let nobody but its owner register a contract anew. Raises RegistrationError."""
    from schemas.registrations import ContractRegistered

    standing = entries.of(ContractRegistered).get(event.contract)
    if standing is not None:
        check_owner(entries, "contract", event.contract, standing.owner, declared)


def _check(entries: Any, known: Any) -> None:
    check_owner(entries, "contract", known.contract, known.owner)


add_removing(app, "ContractRegistered", "contract", _check)
