"""What the tests of canary tell the processor."""

from dataclasses import replace
from typing import Any

from schemas.decisions import PlacementDecided
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.records import KeyValue
from schemas.registrations import PolicySelected, ServiceRegistered
from schemas.resources import Variant
from tests.unit.placement import scaling_cases, world

T0, APP = scaling_cases.T0, scaling_cases.APP


def service(*variants: str) -> ServiceRegistered:
    """Return service `s` with these variants."""
    made = tuple(Variant(name=v, precision="fp32", device="cpu") for v in variants or ("v1", "v2"))
    return world.service("s", app=APP, variants=made)


def wanted(variant: str = "v2", mode: str = "act", **terms: str) -> PolicySelected:
    """Return the policy that asks for a new version of `s`, on these terms."""
    told = {"variant": variant} | {f"canary.{name}": value for name, value in terms.items()}
    return PolicySelected(
        scope="canary/s",
        component="place",
        algorithm="canary",
        parameters=tuple(KeyValue(key=key, value=value) for key, value in told.items()),
        mode=mode,
        selected_at=T0,
        event_id=stable_id("wanted", repr(told), mode),
    )


def placed(variants: str, generation: int = 1, at: int = 0) -> PlacementDecided:
    """Return a placement of `s` on nodes a, b ...: `1` runs v1 there, `2` the new version."""
    found = world.decided("s", "abcdef"[: len(variants)], generation)
    pairs = zip(found.assignments, variants, strict=True)
    runs = tuple(replace(one, variant=f"v{number}") for one, number in pairs)
    return replace(found, app=APP, assignments=runs, decided_at=T0 + at)


def results(
    node: str, end: int, failed: float = 0.0, latency: float = 20.0, count: int = 100
) -> tuple[Observation, ...]:
    """Return what is observed of the copy on a node in the 2 s before `end` (ms after T0)."""
    where: dict[str, Any] = {"service": "s", "instance": f"s.{node}"}
    made = scaling_cases.observed("latency", end, latency, count, **where)
    return (
        scaling_cases.observed("failure", end, failed, count, **where),
        replace(made, std=4.0),
    )
