"""What cannot be true, or cannot be had, of a service that somebody registers. Pure."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from schemas.registrations import ServiceRegistered
from schemas.resources import Variant

SENSITIVITIES = ("none", "cpu", "memory", "both")
PREEMPTIONS = ("never", "lower")
PROTOCOLS = ("tcp", "udp")
VOLUMES = ("empty", "host", "claim", "config", "secret")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PATCHED = ("apiVersion", "kind", "status")
_AMOUNTS = (
    "gpu_milli",
    "gpus",
    "gpu_memory_mib",
    "virtual_memory_mib",
    "disk_mib",
    "max_per_node",
    "max_per_zone",
    "min_available",
    "min_replicas",
    "max_replicas",
    "idle_ms",
)
WHOLE_GPU = 1000


def wrong(made: ServiceRegistered) -> Iterator[str]:
    """Yield what is wrong with a service, the field first and what would do."""
    for name, known in (("sensitivity", SENSITIVITIES), ("preemption", PREEMPTIONS)):
        if getattr(made, name) not in known:
            yield f"{name} is {getattr(made, name)!r}; it must be {', '.join(known)}"
    for name in _AMOUNTS:
        if getattr(made, name) < 0:
            yield f"{name} is {getattr(made, name)}; it must be at least 0"
    if made.gpu_milli > WHOLE_GPU:
        yield f"gpu_milli is {made.gpu_milli}; a whole GPU is 1000, say how many with gpus"
    if made.gpus and not made.gpu_milli:
        yield f"gpus is {made.gpus}, but gpu_milli 0; whole GPUs have gpu_milli 1000"
    if any(share < 0 for share in made.cpu_per_core_milli):
        yield "cpu_per_core_milli has a number below 0; it must be at least 0"
    if not 0 <= made.target_load <= 1:
        yield f"target_load is {made.target_load}; it must be from 0 to 1"
    yield from _replicas(made)
    yield from _relations(made)
    yield from _reached(made)
    yield from _files(made)
    yield from _kubernetes(made)


def _replicas(made: ServiceRegistered) -> Iterator[str]:
    most = made.max_replicas
    if most and most < made.min_replicas:
        yield f"max_replicas is {most}, below min_replicas, {made.min_replicas}"
    if most and made.replicas > most:
        yield f"replicas is {made.replicas}, above max_replicas, {most}"
    if made.min_available > made.replicas:
        yield f"min_available is {made.min_available}, above replicas, {made.replicas}"


def _relations(made: ServiceRegistered) -> Iterator[str]:
    both = sorted(set(made.affinity) & set(made.anti_affinity))
    if both:
        yield f"affinity and anti_affinity both name {both[0]}; it can stand in one of them"
    if made.service in made.affinity:
        yield "affinity names the service itself; max_per_node says how many may share a node"
    yield from twice("neighbours", "service", (one.service for one in made.neighbours))
    for number, one in enumerate(made.neighbours):
        for name, value in (("mbps", one.mbps), ("max_latency_ms", one.max_latency_ms)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                yield f"neighbours[{number}].{name} is {value}; it must be at least 0"
    yield from twice("amounts", "name", (one.name for one in made.amounts))
    for number, amount in enumerate(made.amounts):
        if amount.amount < 1:
            yield f"amounts[{number}].amount is {amount.amount}; it must be at least 1"
    yield from twice("variants", "name", (one.name for one in made.variants))
    for number, variant in enumerate(made.variants):
        yield from _variant(variant, f"variants[{number}]")


def _variant(variant: Variant, path: str) -> Iterator[str]:
    for one in fields(variant):
        value, least = getattr(variant, one.name), 1 if one.name == "batch" else 0
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= least):
            yield f"{path}.{one.name} is {value}; it must be a finite number of at least {least}"


def _reached(made: ServiceRegistered) -> Iterator[str]:
    named = [(f"ports[{i}]", port, 1) for i, port in enumerate(made.ports)]
    for i, one in enumerate(made.port_mappings):
        named += [
            (f"port_mappings[{i}].port", one.port, 1),
            (f"port_mappings[{i}].exposed", one.exposed, 0),
        ]
        if one.protocol not in PROTOCOLS:
            yield f"port_mappings[{i}].protocol is {one.protocol!r}; it must be tcp or udp"
    for name, port, least in named:
        if not least <= port <= 65_535:
            yield f"{name} is {port}; it must be from {least} to 65535"
    yield from twice("port_mappings", "name", (one.name for one in made.port_mappings))


def _files(made: ServiceRegistered) -> Iterator[str]:
    yield from twice("volumes", "name", (one.name for one in made.volumes))
    for i, one in enumerate(made.volumes):
        if one.kind not in VOLUMES:
            yield f"volumes[{i}].kind is {one.kind!r}; it must be {', '.join(VOLUMES)}"
        elif one.kind != "empty" and not one.source:
            yield f"volumes[{i}].source is needed for kind {one.kind}"
        if not one.path.startswith("/"):
            yield f"volumes[{i}].path is {one.path!r}; it must begin with /"


def _kubernetes(made: ServiceRegistered) -> Iterator[str]:
    if made.namespace and not _LABEL.fullmatch(made.namespace):
        yield (
            f"namespace is {made.namespace!r}; use up to 63 small letters, digits and '-', with "
            "a letter or digit at both ends"
        )
    if not made.patch:
        return
    try:
        patch = json.loads(made.patch)
    except (ValueError, RecursionError) as error:
        yield f"patch is no JSON: {error}"
        return
    if not isinstance(patch, dict):
        yield "patch must be a JSON object, a merge patch (RFC 7396) over its Deployment"
        return
    for name in (name for name in _PATCHED if name in patch):
        yield f"patch may not change {name}"


def twice(name: str, field: str, values: Iterable[Any]) -> Iterator[str]:
    """Yield what stands twice in a list; `name` is the list's, `field` what its parts differ in."""
    seen = set()
    for value in values:
        if value in seen:
            yield f"{name}: two have the {field} {value}; each needs its own"
        seen.add(value)
