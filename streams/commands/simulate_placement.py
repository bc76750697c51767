"""`weir simulate placement`: what an algorithm makes of the trace of a cluster."""

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from placement.algorithms.names import Maker
    from placement.cluster.needs import Machine
    from placement.replay.failures import Failure
    from placement.replay.traces import Pod

Nodes = Annotated[
    Path | None,
    typer.Option(help="CSV: sn, cpu_milli, memory_mib, gpu, model.", show_default=False),
]
Pods = Annotated[
    Path | None,
    typer.Option(
        help="CSV: name, cpu_milli, memory_mib, num_gpu, gpu_milli; gpu_spec, times.",
        show_default=False,
    ),
]
Name = Annotated[str, typer.Option(help="An algorithm; unknown ones are answered with all names.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the order, and of chance.")]
Arrivals = Annotated[
    float,
    typer.Option(min=0.01, max=100, help="Let copies come until they ask for so many clusters."),
]
Timed = Annotated[
    bool, typer.Option("--timed", help="Let copies come and leave when the trace says, instead.")
]
Together = Annotated[
    int, typer.Option(min=1, max=100_000, help="How many copies are placed at once.")
]
Failing = Annotated[
    str,
    typer.Option(
        help="How many nodes fail, by the seed, each for a tenth of the replay; or a file."
    ),
]
Learnt = Annotated[
    Path | None, typer.Option(help="Weights for `learned`, as `simulate train` writes them.")
]
Picture = Annotated[
    Path | None, typer.Option(help="Draw it, too: a file that ends in .png or .svg.")
]
Schema = Annotated[
    bool, typer.Option("--schema", help="Print the JSON schema of files of failures.")
]
_SHOWN = ("arrived", "asked", "allocation", "fragmentation", "rejected", "moves", "lost", "power_w")
_PICTURES = (".png", ".svg")


def placement(
    *,
    nodes: Nodes = None,
    pods: Pods = None,
    algorithm: Name = "weir",
    seed: Seed = 0,
    arrivals: Arrivals = 1.3,
    timed: Timed = False,
    together: Together = 1,
    failures: Failing = "",
    weights: Learnt = None,
    picture: Picture = None,
    schema: Schema = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Place the copies of a trace on its nodes, one after another, and tell what is left.

    Copies and nodes come in orders that follow from the seed, and no copy leaves; shown are the
    GPU share asked for, allocated, and fragmented, in % of all GPUs, and what the nodes draw. A
    copy is rejected only when no node has room for it. What ran on a node that fails is placed
    anew (moved), or lost. Equal files, algorithms and seeds give equal decisions. Exit code 4 for
    files that cannot be used.
    """
    from streams.placing import files as placement_files
    from streams.placing import traces as trace_files

    if schema:
        typer.echo(json.dumps(placement_files.Failures.model_json_schema(), indent=2))
        return
    if nodes is None or pods is None:
        raise typer.BadParameter("name the files of the trace, --nodes and --pods")
    if picture is not None and picture.suffix not in _PICTURES:
        raise typer.BadParameter(f"--picture: {picture} ends in none of {', '.join(_PICTURES)}")
    make = _maker(algorithm, weights)
    machines, copies = trace_files.read(nodes, pods)
    from placement.replay.filling import Replay, listed
    from placement.replay.filling import arrivals as filling

    placed_on = machines if timed else listed(machines, seed)
    came = list(copies) if timed else filling(copies, placed_on, arrivals, seed)
    failing = _failures(failures, placed_on, came, seed, timed=timed)
    replay = Replay(placed_on, copies, make, seed, time.perf_counter, failing, together)
    told = replay.timed(came) if timed else replay.fill(came)
    found: dict[str, Any] = {"algorithm": algorithm, "seed": seed, **told}
    if picture is not None:
        from streams.demo.placement_picture import draw

        draw(found, picture)
    _show(found, as_json=as_json)


def _maker(algorithm: str, weights: Path | None) -> "Maker":
    """Return what makes the algorithm that is asked for."""
    from placement.algorithms.learned import Learned
    from placement.algorithms.names import maker
    from streams.placing import files as placement_files
    from workers import placement_plugins

    if weights is not None and algorithm != Learned.name:
        raise typer.BadParameter(f"--weights are for {Learned.name}, not for {algorithm}")
    if weights is not None:
        return partial(Learned, weights=placement_files.weights(weights))
    try:
        return maker(algorithm, placement_plugins.installed())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _failures(
    told: str, machines: "Sequence[Machine]", came: "Sequence[Pod]", seed: int, *, timed: bool
) -> "Sequence[Failure]":
    """Return the nodes that fail: so many by the seed, or those of a file."""
    from placement.replay import failures
    from streams.placing import files as placement_files

    if told and not told.isdecimal():
        return placement_files.failures(Path(told))
    times = [pod.created or 0 for pod in came] if timed else [0, len(came)]
    count = min(int(told or 0), 100_000)
    return failures.drawn(machines, count, min(times, default=0), max(times, default=0), seed)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from streams.commands.output import show_rows

    rows = [row | {"power_w": round(row["power_w"])} for row in found["over_time"]]
    show_rows(_SHOWN, [[row[name] for name in _SHOWN] for row in rows], as_json=False)
    rejected, took = found["rejected"], found["decision_ms"]
    typer.echo(
        f"{found['algorithm']}, seed {found['seed']}: {found['placed']} of {found['arrived']} "
        f"copies on {found['nodes']} nodes, {found['departed']} left, {rejected['copies']} "
        f"rejected ({rejected['gpu_milli']} thousandths of a GPU, {rejected['cpu_milli']} of a "
        f"core); {found['failures']} nodes failed, {found['moves']} copies moved, {found['lost']} "
        f"lost; a decision takes {took['p50']} ms, {took['p99']} at the 99th percentile"
    )
