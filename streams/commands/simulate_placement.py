"""`weir simulate placement`: what an algorithm makes of the trace of a cluster."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

Nodes = Annotated[Path, typer.Option(help="CSV: sn, cpu_milli, memory_mib, gpu, model.")]
Pods = Annotated[
    Path,
    typer.Option(help="CSV: name, cpu_milli, memory_mib, num_gpu, gpu_milli; gpu_spec, times."),
]
Name = Annotated[str, typer.Option(help="An algorithm; unknown ones are answered with all names.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the order, and of chance.")]
_SHOWN = ("arrived", "asked", "allocation", "fragmentation")


def placement(
    *,
    nodes: Nodes,
    pods: Pods,
    algorithm: Name = "weir",
    seed: Seed = 0,
    arrivals: Annotated[
        float,
        typer.Option(
            min=0.01, max=100, help="Let copies come until they ask for so many clusters."
        ),
    ] = 1.3,
    timed: Annotated[
        bool,
        typer.Option("--timed", help="Let copies come and leave when the trace says, instead."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Place the copies of a trace on its nodes, one after another, and tell what is left.

    Copies come in an order that follows from the seed, and none leaves; shown are the GPU share
    asked for, allocated, and fragmented, in % of all GPUs. A copy is rejected only when no node
    has room for it. Equal files, algorithms and seeds give equal decisions. Exit code 4 for files
    that cannot be used.
    """
    from placement.algorithms.names import maker
    from placement.replay import Replay
    from placement.replay import arrivals as filling
    from streams import trace_files
    from workers import placement_plugins

    try:
        make = maker(algorithm, placement_plugins.installed())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    machines, copies = trace_files.read(nodes, pods)
    replay = Replay(machines, copies, make, seed, time.perf_counter)
    came = copies if timed else filling(copies, machines, arrivals, seed)
    told = replay.timed(came) if timed else replay.fill(came)
    found: dict[str, Any] = {"algorithm": algorithm, "seed": seed, **told}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from streams.commands.output import show_rows

    show_rows(_SHOWN, [[row[name] for name in _SHOWN] for row in found["over_time"]], as_json=False)
    rejected, took = found["rejected"], found["decision_ms"]
    typer.echo(
        f"{algorithm}, seed {seed}: {found['placed']} of {found['arrived']} copies on "
        f"{found['nodes']} nodes, {rejected['copies']} rejected ({rejected['gpu_milli']} "
        f"thousandths of a GPU, {rejected['cpu_milli']} of a core); a decision takes "
        f"{took['p50']} ms, {took['p99']} at the 99th percentile"
    )
