"""A node that somebody registers by hand: checked, and valid until it reports itself. Pure.

Its source is `operator`. It expires in the year 9999: the first heartbeat of its own agent
or actuator replaces it, and that one's expiry counts from then on.
"""

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from schemas.errors import InvalidEvent
from schemas.identity import stable_id
from schemas.registrations import NodeReported
from streams.errors import RegistrationError
from streams.forms.services import WHOLE_GPU, twice
from streams.plain_events import build
from streams.registration import NAME
from workers.agent.node import BY_HAND

NEVER_MS = 253_402_300_799_000
"""The last second of the year 9999, ms since the epoch."""
_OWN = {"heartbeat": 0, "expires_at": NEVER_MS, "source": BY_HAND, "event_id": ""}
STATUSES = ("ready", "draining", "failed", "unknown")


def node(plain: dict[str, Any], now_ms: int) -> NodeReported:
    """Return the report of a node; its `event_id` tells its content, not its time.

    Raises RegistrationError, naming the field, for a false one.
    """
    try:
        made = build(NodeReported, {**plain, **_OWN})
    except InvalidEvent as error:
        raise RegistrationError(str(error)) from error
    for wrong in _wrong(made):
        raise RegistrationError(wrong)
    identity = stable_id("registered", NodeReported.__name__, repr(made))
    return replace(made, heartbeat=now_ms, event_id=identity)


def reports_itself(known: NodeReported | None, now_ms: int) -> bool:
    """Return whether a node has heartbeats, which would replace what somebody registers."""
    return known is not None and known.source != BY_HAND and known.expires_at > now_ms


def _wrong(made: NodeReported) -> Iterator[str]:
    """Yield what is wrong with a node, the field first."""
    if not NAME.fullmatch(made.node):
        yield (
            f"node is {made.node!r}; use up to 63 letters, digits, '.', '_' and '-', with a "
            "letter or digit at both ends"
        )
    if made.status not in STATUSES:
        yield f"status is {made.status!r}; it must be {', '.join(STATUSES)}"
    yield from _numbers(made, "")
    for least in ("cpu_milli", "memory_mib"):
        if getattr(made, least) < 1:
            yield f"{least} is {getattr(made, least)}; it must be at least 1"
    if made.speed <= 0:
        yield f"speed is {made.speed:g}; it must be above 0"
    yield from _used(made)
    yield from _parts(made)


def _numbers(record: Any, path: str) -> Iterator[str]:
    for one in fields(record):
        value = getattr(record, one.name)
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
            yield f"{path}{one.name} is {value}; it must be a finite number of at least 0"


def _used(made: NodeReported) -> Iterator[str]:
    pairs: list[tuple[str, float, str, float | None]] = [
        ("cpu_used_milli", made.cpu_used_milli, "cpu_milli", made.cpu_milli),
        ("memory_used_mib", made.memory_used_mib, "memory_mib", made.memory_mib),
        ("disk_used_mib", made.disk_used_mib, "disk_mib", made.disk_mib),
        ("network_used_mbps", made.network_used_mbps, "network_mbps", made.network_mbps),
    ]
    pairs += [
        (f"cores[{i}].used_milli", c.used_milli, "its capacity_milli", c.capacity_milli)
        for i, c in enumerate(made.cores)
    ]
    for i, gpu in enumerate(made.gpus):
        pairs.append((f"gpus[{i}].used_milli", gpu.used_milli, "a whole GPU's", WHOLE_GPU))
        memory = (gpu.memory_used_mib, "its memory_mib", gpu.memory_mib)
        pairs.append((f"gpus[{i}].memory_used_mib", *memory))
    pairs += [
        (f"amounts[{i}].used", a.used, "its capacity", a.capacity)
        for i, a in enumerate(made.amounts)
    ]
    for name, used, of, capacity in pairs:
        if capacity is not None and used > capacity:
            yield f"{name} is {used:g}, more than {of}, {capacity:g}; say what is used of it"


def _parts(made: NodeReported) -> Iterator[str]:
    for name, parts in (("cores", made.cores), ("gpus", made.gpus), ("amounts", made.amounts)):
        for number, part in enumerate(parts):
            yield from _numbers(part, f"{name}[{number}].")
    yield from twice("gpus", "index", (gpu.index for gpu in made.gpus))
    yield from twice("amounts", "name", (amount.name for amount in made.amounts))
    yield from twice("links", "node", (link.node for link in made.links))
    for number, link in enumerate(made.links):
        yield from _numbers(link, f"links[{number}].")
        if link.node == made.node:
            yield f"links[{number}].node is the node itself; name another one"
    together = sum(core.capacity_milli for core in made.cores)
    if made.cores and made.cpu_milli > together:
        yield f"cpu_milli is {made.cpu_milli}, but its cores have {together} together"
    if made.idle_w is not None and made.full_w is not None and made.idle_w > made.full_w:
        yield f"idle_w is {made.idle_w:g}, more than full_w, {made.full_w:g}"
