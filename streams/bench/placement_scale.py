"""How long placement takes on large clusters, and that it does not grow."""

import tracemalloc
from collections import deque
from collections.abc import Callable
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from placement.algorithms.names import OWN
from placement.chooser import Chooser
from placement.columns import Columns, Taken
from placement.mix import mix_of
from placement.needs import Gpu, Machine, Need
from streams.bench.placement_peer import allocate, peer_nodes

Say = Callable[[str], None]
QUOTED_S = (5.7, 10.0)
"""What ROHE's best fit itself took for 1,000 services on 500 nodes, on two such cores."""
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
    return {
        "place_s": round(place_s, 4),
        "placed": placed,
        "one_more_ms": round(median(more), 4),
        "against_rohe": _against_peer(chance, say),
        "churn": _churn(name, decisions, chance, say),
    }


def _against_peer(chance: Random, say: Say) -> dict[str, Any]:
    """Return best fit against best fit, 1,000 services on 500 nodes."""
    machines, needs = cluster(500, chance, _SORTS), services(1000, chance)
    needs = [need for need in needs if need.gpus < 2]
    nodes = peer_nodes(machines)
    began = perf_counter()
    peer = allocate(nodes, needs)
    peer_s = perf_counter() - began
    began = perf_counter()
    placing = chooser(machines, needs, "best-fit")
    placed = sum(placing.place(need) is not None for need in needs)
    ours_s = perf_counter() - began
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


def _churn(name: str, decisions: int, chance: Random, say: Say) -> dict[str, Any]:
    """Return how decisions fare while copies come and go on a cluster that is nearly full."""
    kinds = services(400, chance)
    placing = chooser(cluster(300, chance, _LARGER), kinds, name)
    held: deque[Taken] = deque()
    took = np.zeros(decisions)
    tracemalloc.start()
    memory = 0
    for number in range(decisions):
        began = perf_counter()
        taken = placing.place(chance.choice(kinds))
        took[number] = 1e3 * (perf_counter() - began)
        if taken is not None:
            held.append(taken)
        while held and (taken is None or len(held) > 1500):
            placing.columns.give_back(held.popleft())
            taken = held[-1] if held else None
        if number == decisions // 5:
            memory = tracemalloc.get_traced_memory()[0]
    grown = tracemalloc.get_traced_memory()[0] - memory
    tracemalloc.stop()
    fifth = max(1, decisions // 5)
    early, late = (float(np.median(part)) for part in (took[fifth : 2 * fifth], took[-fifth:]))
    say(f"{decisions} decisions: {early:.3f} ms, at the end {late:.3f}; {grown} bytes more")
    return {
        "decisions": decisions,
        "early_ms": round(early, 4),
        "late_ms": round(late, 4),
        "grown_bytes": grown,
    }
