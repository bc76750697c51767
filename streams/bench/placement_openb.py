"""What each algorithm allocates of openb's cluster, by the protocol of the published comparison."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, pstdev
from time import perf_counter
from typing import Any

from placement.algorithms.names import OWN, Maker, maker
from placement.replay.filling import Replay, arrivals, listed
from streams.placing import traces as trace_files

NODES = "openb_node_list_gpu_node.csv"
PODS = "openb_pod_list_default.csv"
TIMES = 1.3
TOGETHER: Mapping[str, int] = {"gradient": 50}
"""How many copies an algorithm places at once that is made for several; others place one."""
LEFT_OUT = ("exact",)
"""What decides as Weir's default does on so large a cluster."""
PUBLISHED: Mapping[str, float] = {
    "random": 87.47,
    "dot-product": 90.85,
    "packing": 92.00,
    "best-fit": 93.08,
    "fgd": 95.39,
}
"""GPU share allocated, %, mean of ten seeds: Weng et al., USENIX ATC 2023, default workload."""


def measure(
    folder: Path,
    names: Sequence[str] | None,
    seeds: int,
    others: Mapping[str, Maker],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Return, by algorithm, the allocation (%) and the seconds of a run, means over seeds.

    Raises TraceRefused for files that cannot be used, ValueError for an unknown algorithm.
    """
    machines, pods = trace_files.read(folder / NODES, folder / PODS)
    found = {}
    for name in names or [name for name in OWN if name not in LEFT_OUT]:
        make, shares, seconds = maker(name, others), [], []
        for seed in range(seeds):
            nodes = listed(machines, seed)
            came = arrivals(pods, nodes, TIMES, seed)
            told = Replay(nodes, pods, make, seed, perf_counter, (), TOGETHER.get(name, 1)).fill(
                came
            )
            shares.append(told["allocation"])
            seconds.append(told["seconds"])
        found[name] = {
            "allocation": round(fmean(shares), 3),
            "spread": round(pstdev(shares), 3),
            "seconds": round(fmean(seconds), 3),
            "published": PUBLISHED.get(name),
        }
        say(f"{name}: {found[name]}")
    return found
