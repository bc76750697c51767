"""The worker itself, on real models: overload and what the simulator makes of it, rate, idling."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from streams.bench import worker_idle, worker_live, worker_throughput
from streams.bench.worker_bed import SLOW, Images
from streams.bench.worker_overload import Say

SEED = 1
Build = Callable[[Path, int], tuple[dict[str, Path], Images]]
"""Makes the models below a folder from a seed; returns their files, and images to ask about."""
_ROUNDS, _REQUESTS = 40, 200


def measure(build: Build, seconds: float, say: Say, *, quick: bool = False) -> dict[str, Any]:
    """Return `live`, `throughput_ratio` and `idle_added_ms`, each with what they come from.

    `seconds` is how long the overload lasts. Raises StackError where the embedded broker, or a
    process on it, does not start.
    """
    less = 4 if quick else 1
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        paths, images = build(folder, SEED)
        found = worker_throughput.measure(SLOW, paths[SLOW], images, _ROUNDS // less, say)
        found["live"] = worker_live.measure(paths, images, seconds, say)
        found |= worker_idle.measure(folder / "idle", _REQUESTS // less, say)
    return found


def missed(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is below its goal, in words."""
    live = found["live"]
    if live["high_p99_ms"] is None or live["high_p99_ms"] > live["budget_ms"]:
        yield f"p99 of what has priority: {live['high_p99_ms']} ms of {live['budget_ms']:.1f}"
    error = live["drop_error"]
    if error is None or error > worker_live.GOAL_DROP_ERROR:
        yield f"the simulator's drop rate is off by {error}, {worker_live.GOAL_DROP_ERROR} may be"
    if found["throughput_ratio"] < worker_throughput.GOAL_RATIO:
        yield (
            f"saturated at {found['throughput_ratio']:.3f} of the session alone, "
            f"{worker_throughput.GOAL_RATIO} is the goal"
        )
    if found["idle_added_ms"] > worker_idle.GOAL_MS:
        yield f"{found['idle_added_ms']:.2f} ms added at idle, {worker_idle.GOAL_MS} is the goal"
