"""What one copy of a service needs of a machine, and what a machine has. Pure.

CPU in thousandths of a core, memory in MiB, GPU shares in thousandths of one GPU. `extra` names
further amounts (virtual memory, disk, bandwidth, shares of an NPU, ...); a machine that does not
name one has none of it. Empty tuples accept anything.
"""

from dataclasses import dataclass

Amounts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its model, its memory (0 where it is not told, and then not asked for)."""

    model: str
    memory_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A node as it is when nothing runs on it."""

    name: str
    cpu_milli: int
    memory_mib: int
    gpus: tuple[Gpu, ...] = ()
    architecture: str = ""
    zone: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[str, ...] = ()
    extra: Amounts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a copy takes: `gpu_milli` and `gpu_memory_mib` of each of `gpus` different GPUs.

    Needs that are equal are of one kind, and scored together.
    """

    cpu_milli: int
    memory_mib: int
    gpus: int = 0
    gpu_milli: int = 0
    gpu_memory_mib: int = 0
    models: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[str, ...] = ()
    extra: Amounts = ()

    @property
    def gpu_total(self) -> int:
        """Return the GPU share of all its GPUs together."""
        return self.gpus * self.gpu_milli
