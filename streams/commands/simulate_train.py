"""`weir simulate train`: learn the weights of placement's learned algorithm."""

import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.bench_observe import saying
from streams.commands.simulate_placement import Nodes, Pods, Seed

if TYPE_CHECKING:
    from placement.replay.training import Course

CLUSTERS = 16


def train(
    *,
    out: Annotated[Path, typer.Option(help="Where to write the weights, as JSON.")],
    nodes: Nodes = None,
    pods: Pods = None,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Distributions to draw from.")] = 12,
    draws: Annotated[int, typer.Option(min=2, max=1000, help="Weights drawn in a round.")] = 24,
    fillings: Annotated[
        int, typer.Option(min=1, max=1000, help="Clusters that each of them fills.")
    ] = 8,
    arrivals: Annotated[
        float, typer.Option(min=0.1, max=10, help="How many clusters the copies ask for.")
    ] = 1.3,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the provenance as JSON.")] = False,
) -> None:
    """Learn weights by filling clusters over and over; what counts is the share allocated.

    Without a trace, on 16 clusters that follow from the seed. The file says what it was learned
    on, how, and what it came to beside where it began; `weir simulate placement --algorithm
    learned --weights FILE` tries it. All follows from the seed.
    """
    from placement.replay.training import Plan, learned

    if (nodes is None) != (pods is None):
        raise typer.BadParameter("name both files of a trace, --nodes and --pods, or none")
    plan = Plan(rounds=rounds, draws=draws, fillings=fillings, arrivals=arrivals, seed=seed)
    courses, told = _courses(nodes, pods, plan.nodes, seed)
    weights, _ = learned(courses, plan, told, saying(time.monotonic()))
    document = weights.document()
    out.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    if as_json:
        typer.echo(json.dumps(document["provenance"], indent=2))
        return
    shares = document["provenance"]["allocation"]
    typer.echo(
        f"{out}: allocates {shares['learned']} % where it began with {shares['prior']} %; try it: "
        f"weir simulate placement --algorithm learned --weights {out}"
    )


def _courses(
    nodes: Path | None, pods: Path | None, size: int, seed: int
) -> "tuple[list[Course], dict[str, Any]]":
    """Return what to learn on, and what the provenance says of it."""
    from placement.replay.training import Course, generated
    from streams.placing import traces as trace_files

    if nodes is None or pods is None:
        told = (
            f"{CLUSTERS} generated clusters of {size} nodes, seeds {seed} to {seed + CLUSTERS - 1}"
        )
        return [generated(seed + number, size) for number in range(CLUSTERS)], {"trained_on": told}
    read = Course(*trace_files.read(nodes, pods))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (nodes, pods)}
    return [read], {"trained_on": "a trace", "sha256": digests}
