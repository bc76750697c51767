"""A process that takes CPU time, or the way to memory, on one core until its parent is gone.

python -m workers.profiling.hog cpu|memory CORE PARENT
"""

import os
import sys

import numpy as np
import psutil

CPU, MEMORY = "cpu", "memory"
BLOCK_MIB = 64
"""Larger than the caches of most machines, so that copies go to memory."""


def main(kind: str, core: int, parent: int) -> None:
    """Say that it begins, and take CPU or memory bandwidth while the parent lives."""
    psutil.Process().cpu_affinity([core])
    one = np.ones(BLOCK_MIB << 17)
    other = one.copy()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        if kind == MEMORY:
            np.copyto(other, one)
            one, other = other, one
        else:
            for _ in range(200_000):
                pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
