"""Place: requests, repeated and contradicting ones, while nodes fail, expire, go and come back.

Services drive one another out, copies wait for others to serve, move where that pays, and change
their version.
"""

import random
from dataclasses import replace
from typing import Any

from placement.control.controller import PlaceParams, spec
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementRequested, ServiceDemand
from schemas.processing import Batch, Columns, Record
from schemas.resources import Link, Neighbour, Variant
from tests.unit.placement import world
from tests.unit.placement.scaling_cases import policy

SPEC = spec(PlaceParams(look_ms=400))
START = world.T0
SERVICES = ("s", "t", "u", "v")
TERMS: tuple[dict[str, Any], ...] = (
    {"gpu_milli": 400, "gpu_memory_mib": 9_000},
    {"anti_affinity": ("s",)},
    {"neighbours": (Neighbour(service="t", mbps=20.0, max_latency_ms=2.0),)},
)
"""What the services that are registered ask for besides."""


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    asked: list[PlacementRequested] = []
    now, offset = START, 40
    for _ in range(30):
        now += dice.choice((100, 300, 450, 1_200))
        records = []
        for _ in range(dice.choice((0, 0, 1, 1, 3))):
            repeat = bool(asked) and dice.random() < 0.3
            request = dice.choice(asked) if repeat else _request(dice, len(asked), now)
            asked.append(request)
            records.append(Record(request, "weir.control", 0, offset, now))
            offset += 1
        made.append(Batch(tuple(records), now, _catalogue(dice, now)))
    return made


def _request(dice: random.Random, number: int, now: int) -> PlacementRequested:
    names = dice.sample(SERVICES, dice.randint(1, len(SERVICES)))
    return PlacementRequested(
        event_id=f"request-{number}",
        kind=dice.choice(("ensemble", "ensemble", "load")),
        subject="digits",
        app="digits",
        demands=tuple(ServiceDemand(service=n, replicas=dice.choice((0, 1, 1, 2))) for n in names),
        reason=f"selection {number}",
        requested_at=now,
    )


def _catalogue(dice: random.Random, now: int) -> Catalogue:
    nodes = [
        world.node(
            name,
            cpu=dice.choice((1_000, 2_500)),
            status=dice.choice(("ready", "ready", "ready", "failed", "draining")),
            expires_at=now + dice.choice((-1, 300, 5_000, 5_000)),
            gpus=("T4",) if name == "a" else (),
            links=(Link(node="b", mbps=dice.choice((5.0, 50.0)), latency_ms=1.0),),
        )
        for name in ("a", "b", "c")
        if dice.random() < 0.9
    ]
    variants = tuple(Variant(name=v, precision="fp32", device="cpu") for v in ("v1", "v2"))
    services = [
        world.service(
            name,
            priority=rank,
            preemption="lower",
            min_available=int(name == "s"),
            max_replicas=2,
            variants=variants,
            **TERMS[rank],
        )
        for rank, name in enumerate(SERVICES[:3])
    ]
    ready = [world.instance(s, n) for s in SERVICES for n in "abc" if dice.random() < 0.6]
    share = dice.choice(("0.0", "0.5", "1.0", "much"))
    terms = {"move__rebalance": "1", "move__cooldown_ms": "2000", "move__budget": "x"}
    policies = [
        replace(policy(**terms), algorithm="best-fit"),
        policy("share/t", variant="v2", share=share),
    ]
    return world.catalogue_of([*nodes, *services, *ready, *policies])
