"""`weir ensembles profiles`: what is known of services, by node, variant, instance and batch."""

import json
from typing import Annotated, Any

import typer

from streams.commands.nouns import AsJson, opened, quiet_settings

COLUMNS = (
    *("service", "node", "variant", "instance", "accuracy", "error", "judged", "confidence"),
    *("calibration", "results", "p50_ms", "p95_ms", "p99_ms", "p95_error_ms", "cost", "energy_j"),
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
    as_json: AsJson = False,
) -> None:
    """Show what is known of each service, and how surely: what selections rest on.

    Accuracy, calibration, cost, energy, and latency by node, variant and instance. With --batches
    what was executed, by instance, variant and batch size, as long as ClickHouse keeps results.
    """
    from streams.commands.output import show_rows

    columns, found = (BATCHES, _executed(of)) if batches else (COLUMNS, observed(of))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    show_rows(columns, [[one.get(name) for name in columns] for one in found], as_json=False)


def observed(of: str) -> list[dict[str, Any]]:
    """Return what is known by now of each service of an application; see `COLUMNS`."""
    from schemas.observing import Observation
    from schemas.registrations import InstanceReported
    from streams import ensembles as pure
    from streams.commands.ensembles import known_of
    from workers.clock import wall_ms

    with opened() as entries:
        view = pure.viewed(known_of(entries, of), of, "", wall_ms(), {})
        seen = [e for e in entries.events("weir.observations", of) if isinstance(e, Observation)]
        return pure.profiled(view, seen, entries.of(InstanceReported))


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
