"""The process in which a model is measured: it runs back to back for as long as it is told.

    python -m workers.profiling.subject CORES ERRAND

`CORES` is a list such as 0,1 and ERRAND a JSON object with artifact, format, device, options and
batch. It writes a line of JSON when the model is loaded, and one for each line on its standard
input, which says for how many seconds to run. What goes wrong is a line with `error`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from workers.runtimes.base import Array, Load, Port, Session
from workers.runtimes.errors import RuntimeFailure
from workers.runtimes.known import known_runtimes

WARM_UPS = 5
_MIB = 1 << 20


def main(cores: str, errand: str) -> None:
    """Load the model and measure it as often as a line comes."""
    process = psutil.Process()
    process.cpu_affinity([int(core) for core in cores.split(",")])
    told: dict[str, Any] = json.loads(errand)
    try:
        session = _loaded(told)
        inputs = [_zeros(port, told["batch"]) for port in session.signature.inputs]
        for _ in range(WARM_UPS):
            session.run(inputs)
    except (RuntimeFailure, ValueError) as error:
        _say({"error": str(error)})
        return
    _say({"provider": session.provider})
    for line in sys.stdin:
        try:
            _say(measured(session, inputs, float(line), process))
        except RuntimeFailure as error:
            _say({"error": str(error)})


def measured(
    session: Session, inputs: list[Array], seconds: float, process: psutil.Process
) -> dict[str, Any]:
    """Run for some seconds; return times of executions, CPU per thread, and memory.

    Times are in ms, CPU in thousandths of a core, memory in MiB. Raises ExecutionFailed.
    """
    took: list[float] = []
    before, spent_before, begun = _threads(process), time.process_time(), time.perf_counter()
    while (now := time.perf_counter()) - begun < seconds or not took:
        session.run(inputs)
        took.append((time.perf_counter() - now) * 1000)
    lasted, spent = time.perf_counter() - begun, time.process_time() - spent_before
    after, memory = _threads(process), process.memory_info()
    shares = [(until - before.get(thread, 0.0)) / lasted for thread, until in after.items()]
    return {
        "executions": len(took),
        "mean_ms": lasted * 1000 / len(took),
        "least_ms": min(took),
        "cpu_ms": spent * 1000 / len(took),
        "p50_ms": float(np.percentile(took, 50)),
        "p95_ms": float(np.percentile(took, 95)),
        "cores_milli": sorted((round(s * 1000) for s in shares if s >= 0.01), reverse=True),
        "resident_mib": round(memory.rss / _MIB),
        "virtual_mib": round(memory.vms / _MIB),
    }


def _loaded(told: dict[str, Any]) -> Session:
    known = known_runtimes()
    if told["format"] not in known:
        raise ValueError(f"no runtime takes {told['format']!r}; there are {', '.join(known)}")
    runtime = known[told["format"]]
    where = Path(told["artifact"]) if runtime.fetches else told["artifact"]
    return runtime.load(where, Load(device=told["device"], options=told["options"]))


def _zeros(port: Port, batch: int) -> Array:
    open_to = [batch if place == 0 else 1 for place in range(len(port.shape))]
    sizes = [given or size for given, size in zip(port.shape, open_to, strict=True)]
    return np.zeros(sizes, port.dtype)


def _threads(process: psutil.Process) -> dict[int, float]:
    """Return the CPU time of each thread, s."""
    return {one.id: one.user_time + one.system_time for one in process.threads()}


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
