"""`weir compare worker`: several orders on the same arrivals."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.simulate import File, Seed, row

if TYPE_CHECKING:
    from workers.simulation.scenario import Scenario

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("order", "arrived", "in time", "late", "not run", "value", "p95 ms", "gap ms")


@app.callback()
def compare() -> None:
    """Compare ways to decide on the same load."""


@app.command()
def worker(
    file: File,
    *,
    orders: Annotated[
        str, typer.Option(help="Comma-separated; all that are known by default.")
    ] = "",
    seed: Seed = None,
    optimum: Annotated[
        float,
        typer.Option(
            min=0, help="Also bound what can be reached: seconds of search for each part of it."
        ),
    ] = 0.0,
    by_service: Annotated[
        bool, typer.Option("--by-service", help="A line for each service, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Run several orders on the same arrivals and the same service times of each frame.

    plain-fifo is what there is without a scheduler: unbounded queues, first come first served,
    late or not. Exit code 4 for a scenario that cannot be used or an order that is not known.
    """
    from streams import scenario_files
    from workers import order_plugins
    from workers.scheduling.orders.names import OWN
    from workers.simulation.simulator import PLAIN, simulate

    scenario = scenario_files.read(file)
    if seed is not None:
        scenario = scenario.model_copy(update={"seed": seed})
    others = order_plugins.installed()
    names = [name.strip() for name in orders.split(",") if name.strip()]
    names = list(dict.fromkeys(names)) or [PLAIN, *OWN, *sorted(others.keys() - OWN.keys())]
    found: dict[str, Any] = {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "orders": {name: simulate(scenario, name, others).summary() for name in names},
        "optimum": _optimum(scenario, optimum) if optimum else None,
    }
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show(found, by_service=by_service)


def _optimum(scenario: "Scenario", seconds: float) -> dict[str, Any]:
    from workers.simulation.optimum import relaxed, solve

    found = solve(scenario, seconds)
    return {
        "found_share": found.found_share,
        "bound_share": found.bound_share,
        "solved": found.solved,
        "relaxed": relaxed(scenario),
    }


def _show(found: Mapping[str, Any], *, by_service: bool) -> None:
    from streams.commands.output import show_rows

    rows = []
    for order, told in found["orders"].items():
        rows.append(_row(order, told["total"]))
        if by_service:
            rows += [_row(f"  {name}", service) for name, service in told["services"].items()]
    show_rows(COLUMNS, rows, as_json=False)
    if found["optimum"] is not None:
        told = found["optimum"]
        how = "of an easier problem" if told["relaxed"] else "of this scenario"
        typer.echo(
            f"with all known beforehand: {told['found_share']:.4f} of the value was found, "
            f"{told['bound_share']:.4f} is a bound {how}"
        )


def _row(name: str, told: Mapping[str, Any]) -> list[Any]:
    _, arrived, in_time, late, *ended, value, p95, gap = row(name, told)
    return [name, arrived, in_time, late, sum(ended), value, p95, gap]
