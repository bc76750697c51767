"""`weir simulate`: what a worker would do with a load, by the code that runs live, or placement."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from streams.commands.simulate_placement import placement
from streams.commands.simulate_train import train

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = (
    *("service", "arrived", "in time", "late", "dropped", "expired", "rejected"),
    *("value", "p95 ms", "gap ms"),
)
File = Annotated[
    str, typer.Argument(help="TOML, JSON or YAML; or the name of a scenario that is shipped.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, max=2**31 - 1, help="In place of the scenario's own.")
]


@app.callback()
def simulate() -> None:
    """Run deciding code on simulated time, without Kafka and without models."""


app.command()(placement)
app.command()(train)


@app.command()
def worker(
    file: File = "",
    *,
    order: Annotated[
        str, typer.Option(help="In place of the scenario's own; an order or plain-fifo.")
    ] = "",
    seed: Seed = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of scenario files.")
    ] = False,
    shipped: Annotated[
        bool, typer.Option("--list", help="List the scenarios that are shipped.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Simulate the worker of a scenario: services, their arrivals, service times, and bounds.

    Shown are the share of all value that was answered in time, the 95th percentile from arrival
    to answer of frames that were executed, and the longest time that work waited without service.
    Equal files and seeds give equal reports. Exit code 4 for a scenario that cannot be used.
    """
    from streams import scenario_files
    from workers import order_plugins
    from workers.simulation.simulator import simulate as run

    if schema:
        from workers.simulation.scenario import Scenario

        typer.echo(json.dumps(Scenario.model_json_schema(), indent=2))
        return
    if shipped:
        _list(scenario_files.shipped(), as_json=as_json)
        return
    if not file:
        raise typer.BadParameter("name a scenario file, or see --list and --schema")
    scenario = scenario_files.read(file)
    if seed is not None:
        scenario = scenario.model_copy(update={"seed": seed})
    others = order_plugins.installed()
    if not order:
        scenario_files.check_order(scenario, file, others)
    found = run(scenario, order, others).summary()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    _show(found)


def row(name: str, told: Mapping[str, Any]) -> list[Any]:
    """Return the cells of a service, or of all, as COLUMNS says."""
    counts = [
        told[column] for column in ("arrived", "in_time", "late", "dropped", "expired", "rejected")
    ]
    p95 = told["end_to_end_ms"]["p95"]
    times = (None if time is None else round(time, 1) for time in (p95, told["longest_gap_ms"]))
    return [name, *counts, f"{told['value_share']:.4f}", *times]


def _list(names: list[str], *, as_json: bool) -> None:
    from streams import scenario_files
    from streams.commands.output import show_rows

    rows = [(name, scenario_files.read(name).description) for name in names]
    show_rows(("name", "what it shows"), rows, as_json=as_json)


def _show(found: Mapping[str, Any]) -> None:
    from streams.commands.output import show_rows

    rows = [row(name, told) for name, told in found["services"].items()]
    show_rows(COLUMNS, [*rows, row("all", found["total"])], as_json=False)
    typer.echo(
        f"{found['scenario']} under {found['order']}, seed {found['seed']}: "
        f"over at {found['ended_at_ms']:.1f} ms, busy {found['busy_share']:.1%}, "
        f"of which {found['wasted_share']:.1%} of the time for answers that came late"
    )
    for line in further(found):
        typer.echo(line)


def further(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was decided, and why frames ended without execution, a line for each reason."""
    for word, counts in found["decisions"].items():
        for why, count in counts.items():
            yield f"{word} {count} times: {why}"
    for name, told in found["services"].items():
        for status, reasons in told["reasons"].items():
            for reason, count in reasons.items():
                yield f"{name}: {count} {status}, {reason}; such as: {told['examples'].get(reason)}"
