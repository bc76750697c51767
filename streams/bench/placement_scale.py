"""How long placement takes on large clusters, and that it does not grow."""

from collections.abc import Callable
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import placement.algorithms.waste
import placement.cluster.room  # noqa: F401  # what is compiled is loaded before anything is measured
from placement.algorithms.mix import mix_of
from placement.algorithms.names import OWN
from placement.choosing.chooser import Chooser
from placement.cluster.columns import Columns
from placement.cluster.needs import Gpu, Machine, Need
from streams.bench import placement_churn
from streams.bench.placement_peer import allocate, peer_nodes

Say = Callable[[str], None]
QUOTED_S = (5.7, 10.0)
"""What ROHE's best fit itself took for 1,000 services on 500 nodes, on two such cores: the least
and the most. The least is what `against_rohe` counts."""
_SORTS = (
    ("edge", 55, 4000, 4096, 0),
    ("nano", 35, 4000, 4096, 1),
    ("xavier", 10, 8000, 16_384, 1),
)
_LARGER = (
    ("edge", 40, 4000, 4096, 0),
    ("xavier", 20, 8000, 16_384, 1),
    ("box", 25, 32_000, 131_072, 2),
    ("server", 15, 96_000, 393_216, 8),
)


def cluster(
    count: int, chance: Random, sorts: tuple[tuple[str, int, int, int, int], ...]
) -> list[Machine]:
    """Return nodes of some sorts; each has a little less than its sort, as nodes do."""
    drawn = chance.choices(sorts, [sort[1] for sort in sorts], k=count)
    return [
        Machine(
            name=f"{name}-{number:05}",
            cpu_milli=cpu,
            memory_mib=memory - chance.randrange(memory // 16),
            gpus=(Gpu(name),) * gpus,
        )
        for number, (name, _, cpu, memory, gpus) in enumerate(drawn)
    ]


def services(count: int, chance: Random, *, gpus: bool = True) -> list[Need]:
    """Return needs, hardly any two of which are alike."""
    found = []
    for _ in range(count):
        shares = chance.choice((0, 0, 1, 1, 1, 2)) if gpus else 0
        found.append(
            Need(
                cpu_milli=50 * chance.randint(2, 40),
                memory_mib=chance.randint(64, 2048),
                gpus=shares,
                gpu_milli=0 if not shares else 1000 if shares > 1 else 10 * chance.randint(5, 100),
            )
        )
    return found


def chooser(machines: list[Machine], needs: list[Need], name: str) -> Chooser:
    """Return an empty cluster and an algorithm for it."""
    columns = Columns(machines)
    return Chooser(columns, OWN[name](columns, mix_of(needs), 0))


def measure(name: str, decisions: int, say: Say) -> dict[str, Any]:
    """Return seconds and milliseconds; `decisions` is the length of the churn."""
    chance = Random(7)  # noqa: S311 - a load, no secrets
    machines, needs = cluster(5000, chance, _LARGER), services(1000, chance)
    began = perf_counter()
    placing = chooser(machines, needs, name)
    placed = sum(placing.place(need) is not None for need in needs)
    place_s = perf_counter() - began
    say(f"1,000 services on 5,000 nodes: {place_s:.3f} s, {placed} placed")
    more = []
    for need in services(200, chance):
        began = perf_counter()
        placing.place(need)
        more.append(1e3 * (perf_counter() - began))
    kinds = services(400, chance)
    churning = chooser(cluster(300, chance, _LARGER), kinds, name)
    churn = placement_churn.measure(placement_churn.Churn(churning, kinds, chance), decisions)
    say(f"churn: {churn}")
    peer = _peer(chance, say)
    return {
        "place_s": round(place_s, 4),
        "placed": placed,
        "one_more_ms": round(median(more), 4),
        "one_more_p99_ms": round(float(np.percentile(more, 99)), 4),
        "against_rohe": peer["times_quoted"][0],
        "peer": peer,
        "churn": churn,
    }


def _peer(chance: Random, say: Say) -> dict[str, Any]:
    """Return best fit against best fit, 1,000 services on 500 nodes; the best of three runs.

    `times_quoted` is how many times the quoted times, `plain` what `placement_peer` does here.
    """
    machines = cluster(500, chance, _SORTS)
    needs = [need for need in services(2000, chance) if need.gpus < 2][:1000]
    nodes = peer_nodes(machines)
    began = perf_counter()
    peer = allocate(nodes, needs)
    peer_s = perf_counter() - began
    runs = []
    for _ in range(3):
        began = perf_counter()
        placing = chooser(machines, needs, "best-fit")
        placed = sum(placing.place(need) is not None for need in needs)
        runs.append(perf_counter() - began)
    ours_s = min(runs)
    say(f"best fit, {len(needs)} on 500: {ours_s:.3f} s; one object after another: {peer_s:.3f} s")
    return {
        "services": len(needs),
        "ours_s": round(ours_s, 4),
        "placed": placed,
        "plain_s": round(peer_s, 4),
        "plain_placed": peer,
        "times_plain": round(peer_s / ours_s, 1),
        "quoted_s": QUOTED_S,
        "times_quoted": [round(quoted / ours_s, 1) for quoted in QUOTED_S],
    }
