"""`weir bench placement`: what the algorithms allocate, how near the optimum, how fast."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.bench_observe import saying

Data = Annotated[
    Path | None,
    typer.Option(help="A folder with the files of openb; without it that part is null."),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--algorithm", help="On openb, this one alone; may be repeated."),
]
Cluster = Annotated[
    str,
    typer.Option(
        envvar="KUBECONFIG",
        help="A cluster, where a namespace is made and deleted; without one that part is left out.",
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="One seed, few cases: rough figures, in minutes.")
]


def placement(
    *,
    openb: Data = None,
    only: Only = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Orders of arrival on openb.")] = 10,
    instances: Annotated[int, typer.Option(min=1, help="Small clusters for the gap.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.1, help="Search for each optimum.")] = 10.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of that search.")] = 1,
    decisions: Annotated[int, typer.Option(min=100, help="Decisions of the churn.")] = 100_000,
    kubeconfig: Cluster = "",
    applied: Annotated[int, typer.Option(min=2, help="Services applied there one by one.")] = 100,
    quick: Quick = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure what placement allocates, how near the optimum it comes, and how fast it is.

    On openb: GPU share allocated, %, when 130 % has been asked for, by algorithm, mean over seeds,
    with the seconds that all decisions of a run took. The gap to the proven optimum on small
    clusters, in %. Times on large ones. From an event to the applied Deployment on Kubernetes.
    Ends with 3 when OR-Tools is not installed: the gap is then null.
    """
    from streams.bench import (
        placement_gap,
        placement_kubernetes,
        placement_openb,
        placement_scale,
    )
    from workers import placement_plugins

    say = saying(time.monotonic())
    if quick:
        seeds, instances, decisions = 1, min(instances, 20), min(decisions, 2_000)
        applied = min(applied, 20)
    found: dict[str, Any] = {"openb": None, "gap": None}
    if openb is not None:
        others = placement_plugins.installed()
        found["openb"] = placement_openb.measure(openb, only, seeds, others, say)
    try:
        found["gap"] = placement_gap.measure(instances, seconds, threads)
        say(f"gap: {found['gap']}")
    except ModuleNotFoundError:
        say("NO OPTIMUM WAS SEARCHED FOR: install OR-Tools, `pip install weir[exact]`")
    found["scale"] = placement_scale.measure("weir", decisions, say)
    if kubeconfig:
        found["kubernetes"] = placement_kubernetes.measure(kubeconfig, applied, say)
    else:
        say("NOTHING WAS APPLIED TO KUBERNETES: name a cluster by --kubeconfig or KUBECONFIG")
    _show(found, as_json=as_json)
    if found["gap"] is None:
        raise typer.Exit(3)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from streams.commands.output import show_rows

    columns = ("algorithm", "allocation, %", "published", "seconds")
    rows = [
        (name, told["allocation"], told["published"], told["seconds"])
        for name, told in (found["openb"] or {}).items()
    ]
    show_rows(columns, rows, as_json=False)
    for name in [name for name in ("gap", "scale", "kubernetes") if name in found]:
        typer.echo(f"{name}: {found[name]}")
