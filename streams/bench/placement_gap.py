"""How far Weir's default is from the proven optimum, on random small clusters."""

from random import Random
from statistics import fmean
from typing import Any

from placement.algorithms.exact import optimum
from placement.choosing.arranging import arrange
from placement.cluster.needs import Gpu, Machine, Need

COPIES, NODES = 12, 8
_MODELS = ("T4", "P100")


def instance(seed: int) -> tuple[list[Machine], list[Need]]:
    """Return 2 to 8 nodes, and 4 to 12 copies.

    Even seeds: copies that ask for about what there is, or more. Odd ones: what the nodes have, cut
    into copies of which all can be placed, some with nothing left over.
    """
    chance = Random(seed)  # noqa: S311 - cases, no secrets
    machines = [
        Machine(
            name=f"n{number}",
            cpu_milli=1000 * chance.choice((4, 8, 12, 16)),
            memory_mib=1024 * chance.choice((8, 16, 32)),
            gpus=(Gpu(chance.choice(_MODELS)),) * chance.choice((0, 1, 1, 2, 4)),
        )
        for number in range(chance.randint(2, NODES))
    ]
    count = chance.randint(4, COPIES)
    if seed % 2:
        return machines, _cut(chance, machines, count)
    load = chance.uniform(0.6, 1.2) / count
    cpu = load * sum(machine.cpu_milli for machine in machines)
    memory = load * sum(machine.memory_mib for machine in machines)
    share = 1000 * load * sum(len(machine.gpus) for machine in machines)
    return machines, [_need(chance, cpu, memory, share) for _ in range(count)]


def _cut(chance: Random, machines: list[Machine], count: int) -> list[Need]:
    """Return copies that fill all nodes, or up to a tenth less; GPUs stay whole or are halved."""
    parts = [1] * len(machines)
    for _ in range(max(0, count - len(machines))):
        parts[chance.randrange(len(parts))] += 1
    slack = chance.choice((1.0, 1.0, 0.97, 0.9))
    needs = []
    for machine, pieces in zip(machines, parts, strict=True):
        cpu, memory = (
            _split(chance, round(all_of * slack), pieces)
            for all_of in (machine.cpu_milli, machine.memory_mib)
        )
        gpus = [0] * pieces
        for _ in machine.gpus:
            gpus[chance.randrange(pieces)] += 1
        needs += [
            Need(
                cpu_milli=c,
                memory_mib=m,
                gpus=g,
                gpu_milli=0 if not g else 1000 if g > 1 else chance.choice((500, 800, 1000)),
            )
            for c, m, g in zip(cpu, memory, gpus, strict=True)
        ]
    chance.shuffle(needs)
    return needs


def _split(chance: Random, total: int, pieces: int) -> list[int]:
    cuts = sorted(chance.randint(0, total) for _ in range(pieces - 1))
    return [end - begin for begin, end in zip([0, *cuts], [*cuts, total], strict=True)]


def _need(chance: Random, cpu: float, memory: float, share: float) -> Need:
    """Return a copy about as large as is told, between a third and five thirds."""
    milli = round(share * chance.uniform(0.3, 1.7))
    gpus = 0 if milli == 0 or chance.random() < 0.25 else max(1, round(milli / 1000))
    return Need(
        cpu_milli=round(cpu * chance.uniform(0.3, 1.7)),
        memory_mib=round(memory * chance.uniform(0.3, 1.7)),
        gpus=gpus,
        gpu_milli=0 if not gpus else 1000 if gpus > 1 else min(1000, milli),
        models=(chance.choice(_MODELS),) if gpus and chance.random() < 0.15 else (),
    )


def measure(instances: int, seconds: float, threads: int) -> dict[str, Any]:
    """Return the gaps, % of the optimum's worth; each search for it may take so many seconds.

    `infeasible` counts instances of which all copies could be placed, and were not; `unproven`
    those whose optimum is not known: their gap is to the bound. Raises ModuleNotFoundError when
    OR-Tools is not installed.
    """
    gaps = []
    infeasible = unproven = 0
    for seed in range(instances):
        machines, needs = instance(seed)
        best = optimum(machines, needs, seconds, threads)
        found = arrange(machines, needs)
        gaps.append(100 * (best.bound - found.worth) / max(best.bound, 1))
        infeasible += None not in best.rows and found.left_over > 0
        unproven += not best.proven
    return {
        "mean": round(fmean(gaps), 4),
        "max": round(max(gaps), 4),
        "infeasible": infeasible,
        "unproven": unproven,
        "instances": instances,
    }
