"""One probe or one agent in a process of its own, which tells at its end what it cost.

`probe RATE SECONDS` reports so many measurements a second of twenty series; with `none` in place
of `probe` it goes through the same motions without a probe. `agent EVERY SECONDS` is an agent that
reads this machine so often; with `alone` it does not follow the catalogue. The last line on
standard output is JSON: cpu_s, seconds, events, bytes (to brokers), memory_mib.
"""

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil

from streams.settings import load
from workers import telemetry
from workers.agent.facts import gather
from workers.agent.gpus import NoGpus
from workers.agent.readings import MIB
from workers.agent.service import Agent, Plan
from workers.probe import BUFFER, Probe
from workers.probing.link import Wire, to_kafka
from workers.registry import Registry
from workers.settings import Identity, Settings

WARM_S = 3.0
SERIES = 20
TICK_S = 0.01


def main() -> None:
    """Do as the arguments say, and print what it cost."""
    telemetry.configure("ERROR")
    kind, pace, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    settings = load()
    identity = Identity(app="bench", service="agent", instance=f"{kind}-{pace:g}", node="bench")
    settings = settings.model_copy(update={"identity": identity})
    if kind in ("probe", "none"):
        found = _probe(settings, pace, seconds, idle=kind == "none")
    else:
        found = _agent(settings, pace, seconds, alone=kind == "alone")
    sys.stdout.write(json.dumps(found) + "\n")


def _probe(settings: Settings, rate: float, seconds: float, *, idle: bool) -> dict[str, Any]:
    wire = Wire()
    made = None
    if not idle:
        made = Probe(settings, connect=partial(to_kafka, settings, BUFFER, on_stats=wire.hear))
    names = [f"metric-{number}" for number in range(SERIES)]

    def report(number: int) -> None:
        if made is not None:
            made.report(names[number % SERIES], number * 0.37, unit="ms")

    _paced(rate, WARM_S, report)
    before = _spent(wire.bytes, made.sent if made else 0)
    _paced(rate, seconds, report)
    found = _since(before, _spent(wire.bytes, made.sent if made else 0))
    if made is not None:
        found["dropped"] = made.dropped
        made.close()
    return found


def _paced(rate: float, seconds: float, report: Callable[[int], None]) -> None:
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * rate:
            report(sent)
            sent += 1
        time.sleep(TICK_S)


def _agent(settings: Settings, every: float, seconds: float, *, alone: bool) -> dict[str, Any]:
    registry = Registry(settings.registry)
    nodes = None if alone else _following(settings, registry)
    facts, stop = gather("bench", NoGpus()), threading.Event()
    agent = Agent(settings, facts, Plan(every_s=every), NoGpus(), nodes.all if nodes else None)
    found: dict[str, Any] = {}

    def measure() -> None:
        time.sleep(max(WARM_S, every))
        before = _spent(agent.wire_bytes, agent.probe.sent)
        time.sleep(seconds)
        found.update(_since(before, _spent(agent.wire_bytes, agent.probe.sent)))
        stop.set()

    threading.Thread(target=measure, daemon=True).start()
    agent.run(stop)
    if nodes is not None:
        nodes.close()
    registry.close()
    return found


def _following(settings: Settings, registry: Registry) -> Any:
    """Return the catalogue's nodes; loaded here, since its memory is what `alone` saves."""
    known_nodes = importlib.import_module("workers.agent.known_nodes")
    return known_nodes.KnownNodes(settings.kafka, registry.codec())


def _spent(sent_bytes: int, events: int) -> dict[str, float]:
    used = psutil.Process().cpu_times()
    return {
        "cpu_s": used.user + used.system,
        "seconds": time.monotonic(),
        "events": events,
        "bytes": sent_bytes,
    }


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    memory = psutil.Process().memory_info().rss / MIB
    return {name: after[name] - before[name] for name in after} | {"memory_mib": round(memory, 1)}


if __name__ == "__main__":
    main()
