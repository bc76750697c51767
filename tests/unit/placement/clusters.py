"""Clusters and needs for tests of placement by columns."""

from hypothesis import strategies as st

from placement.algorithms.base import Algorithm
from placement.algorithms.mix import mix_of
from placement.algorithms.names import OWN
from placement.choosing.chooser import Chooser
from placement.cluster.columns import Columns
from placement.cluster.needs import Gpu, Machine, Need


def machine(name: str, cpu: int = 8000, memory: int = 16_000, gpus: int = 0, **more) -> Machine:
    return Machine(
        name=name, cpu_milli=cpu, memory_mib=memory, gpus=(Gpu("T4", 16_000),) * gpus, **more
    )


def need(cpu: int = 1000, memory: int = 1000, gpus: int = 0, milli: int = 1000, **more) -> Need:
    return Need(cpu_milli=cpu, memory_mib=memory, gpus=gpus, gpu_milli=milli if gpus else 0, **more)


def algorithm(name: str, columns: Columns, needs: list[Need], seed: int = 0) -> Algorithm:
    return OWN[name](columns, mix_of(needs), seed)


def chooser(name: str, machines: list[Machine], needs: list[Need]) -> Chooser:
    columns = Columns(machines)
    return Chooser(columns, algorithm(name, columns, needs))


_MODELS = ("T4", "P100")
MACHINES = st.lists(
    st.builds(
        lambda cpu, memory, gpus, disk, tainted: (cpu, memory, gpus, disk, tainted),
        st.integers(0, 8).map(lambda cores: 1000 * cores),
        st.integers(0, 16).map(lambda gib: 1000 * gib),
        st.lists(st.builds(Gpu, st.sampled_from(_MODELS), st.just(16_000)), max_size=4),
        st.sampled_from([None, 5, 50]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
).map(
    lambda rows: [
        Machine(
            name=f"n{number}",
            cpu_milli=cpu,
            memory_mib=memory,
            gpus=tuple(gpus),
            architecture="arm64" if cpu % 2000 else "amd64",
            extra=() if disk is None else (("disk", disk),),
            taints=("edge",) if tainted else (),
        )
        for number, (cpu, memory, gpus, disk, tainted) in enumerate(rows)
    ]
)
NEEDS = st.lists(
    st.builds(
        lambda cpu, memory, gpus, milli, models, more: need(
            cpu, memory, gpus, milli, models=models if gpus else (), **more
        ),
        st.sampled_from([0, 500, 1500, 4000]),
        st.sampled_from([0, 900, 4000]),
        st.integers(0, 3),
        st.sampled_from([1, 250, 400, 600, 1000]),
        st.sampled_from([(), ("T4",), ("T4", "P100"), ("V100",)]),
        st.sampled_from(
            [
                {},
                {"extra": (("disk", 5),)},
                {"extra": (("npu", 1),)},
                {"tolerations": ("edge",)},
                {"architectures": ("arm64",)},
            ]
        ),
    ),
    min_size=1,
    max_size=25,
)
