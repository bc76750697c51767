"""`weir ensembles profiles`: what is known of services, by node, variant, instance and batch.

Or by condition: what requests say of the circumstances in which their inputs were taken.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, opened, quiet_settings

if TYPE_CHECKING:
    from processors.selecting.world import AppView
    from schemas.observing import Observation
    from streams.entries import Entries

COLUMNS = (
    *("service", "node", "variant", "instance", "accuracy", "error", "judged", "confidence"),
    *("calibration", "results", "p50_ms", "p95_ms", "p99_ms", "p95_error_ms", "cost", "energy_j"),
)
CONDITIONS = (
    *("service", "condition", "accuracy", "error", "judged", "agreement", "agreement_error"),
    "compared",
)
BATCHES = (
    *("service", "node", "variant", "instance", "runtime", "provider", "batch", "results"),
    *("p50_ms", "p95_ms", "p99_ms", "mean_ms", "mean_error_ms", "mean_queue_ms"),
)


def profiles(
    of: Annotated[str, typer.Argument(metavar="APP", help="Name of the application.")],
    *,
    batches: Annotated[
        bool, typer.Option("--batches", help="Execution times by batch size, out of ClickHouse.")
    ] = False,
    conditions: Annotated[
        bool, typer.Option("--conditions", help="Accuracy and agreement under each condition.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is known of each service, and how surely: what selections rest on.

    Accuracy, calibration, cost, energy, and latency by node, variant and instance. With --batches
    what was executed, by instance, variant and batch size, as long as ClickHouse keeps results.
    With --conditions how often a service is right, and agrees with answers, under each condition
    that requests named; accuracy is drawn towards that over all while few were judged.
    """
    if batches and conditions:
        raise typer.BadParameter("choose --batches or --conditions")
    if conditions:
        _show(CONDITIONS, _conditioned(of), as_json=as_json)
    elif batches:
        _show(BATCHES, _executed(of), as_json=as_json)
    else:
        _show(COLUMNS, observed(of), as_json=as_json)


def _show(columns: tuple[str, ...], found: list[dict[str, Any]], *, as_json: bool) -> None:
    from streams.commands.output import show_rows

    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    show_rows(columns, [[one.get(name) for name in columns] for one in found], as_json=False)


def observed(of: str) -> list[dict[str, Any]]:
    """Return what is known by now of each service of an application; see `COLUMNS`."""
    from schemas.registrations import InstanceReported
    from streams import ensembles as pure

    with opened() as entries:
        view, seen = _known(entries, of)
        return pure.profiled(view, seen, entries.of(InstanceReported))


def _conditioned(of: str) -> list[dict[str, Any]]:
    from streams import ensembles as pure

    with opened() as entries:
        return pure.conditioned(*_known(entries, of))


def _known(entries: "Entries", of: str) -> "tuple[AppView, list[Observation]]":
    from schemas.observing import Observation
    from streams import ensembles as pure
    from streams.commands.ensembles import known_of
    from workers.clock import wall_ms

    view = pure.viewed(known_of(entries, of), of, "", wall_ms(), {})
    seen = [e for e in entries.events("weir.observations", of) if isinstance(e, Observation)]
    return view, seen


def _executed(of: str) -> list[dict[str, Any]]:
    from streams import ensemble_reports
    from workers.clickhouse import connect

    settings = quiet_settings()
    database = connect(settings.clickhouse)
    try:
        database.only_read()
        return ensemble_reports.batches(database, settings.kafka.cluster, of)
    finally:
        database.close()
