"""What does not change of this machine while its agent runs."""

import platform
import shutil

import psutil

from workers.agent.gpus import Gpus
from workers.agent.node import Facts
from workers.agent.readings import MIB

_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Architectures as containers and Kubernetes call them."""


def gather(
    node: str,
    gpus: Gpus,
    *,
    zone: str = "",
    labels: tuple[tuple[str, str], ...] = (),
    answers_at: str = "",
    placeable: bool = False,
) -> Facts:
    """Return the facts of this machine under the name of a node."""
    machine = platform.machine()
    software = [("python", platform.python_version()), ("kernel", platform.release())]
    software += [(f"gpu.{gpu.index}", gpu.model) for gpu in gpus.states()]
    return Facts(
        node=node,
        zone=zone,
        cores=psutil.cpu_count() or 1,
        memory_mib=psutil.virtual_memory().total // MIB,
        disk_mib=shutil.disk_usage("/").total // MIB,
        architecture=_NAMES.get(machine, machine),
        operating_system=platform.system().lower(),
        software=tuple(software),
        labels=labels,
        answers_at=answers_at,
        placeable=placeable,
    )
