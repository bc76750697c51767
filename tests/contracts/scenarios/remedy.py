"""Remedy: findings that come and go, are silenced, crowd; remedies that fight, fail, are wrong."""

import random

from processors.remedying.remedy import RemedyParams, spec
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.processing import Batch, Columns, Record
from schemas.topics import topic_of
from tests.unit.placement.world import catalogue_of
from tests.unit.processors import remedy_world as w

SPEC = spec(RemedyParams(look_ms=700), partitions=1)


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    offsets: dict[str, int] = {}
    now = 0
    for number in range(40):
        now += dice.choice((300, 900, 1_700, 4_000))
        records = []
        for event in _events(dice, now):
            topic = topic_of(event)
            offsets[topic] = offsets.get(topic, 50) + 1
            records.append(Record(event, topic, 0, offsets[topic], w.T0 + now))
        made.append(Batch(tuple(records), w.T0 + now, _catalogue(number)))
    return made


def _events(dice: random.Random, now: int) -> list[Event]:
    severity = dice.choice(("warning", "critical"))
    may: list[Event] = [
        w.verdict(now, severity=severity),
        w.verdict(now, "healthy"),
        w.verdict(now, instance="s.a", rule="stuck"),
        w.verdict(now, rule="quiet", silenced_by="night"),
        w.diagnosed(now, "node", dice.choice("ab"), ("symptom",)),
        w.drift(now, cause=dice.choice(("concept", "sensor-nil"))),
        w.violated(now),
        w.violated(now, "cleared"),
        w.window(now, dice.choice((25.0, 95.0))),
        w.verdict(now, rule=f"rule-{dice.randint(0, 99)}", service="gone"),
    ]
    return dice.sample(may, dice.randint(0, 4))


def _catalogue(number: int) -> Catalogue:
    """Return the world: frozen for a time, recommending for a time, without `s` at the end."""
    there: list[Event] = [w.node(n) for n in "abc"]
    there += [w.service(max_replicas=6), w.placed("s", "ab", 1 + number // 9), w.selected("s")]
    short = {"cooldown_ms": 3_000, "verify_ms": 2_000}
    there += [
        w.policy("installation", "recommend" if 20 <= number < 25 else "act"),
        w.policy("freeze", state="on" if 12 <= number < 16 else "off", reason="test"),
        w.defined("scale", name="up", rule="slow", undo=True, max_per_hour=3, **short),
        w.defined("scale", name="down", parameters=w.pairs(by="-1"), on="violation", **short),
        w.defined("replace", name="move", tier="diagnosis", undo=True, **short),
        w.defined("replace", name="leave", parameters=w.pairs(hold_ms="5000"), rule="stuck"),
        w.defined("retrain", name="train", on="drift", cooldown_ms=0, verify_ms=0),
        w.defined("notify", name="tell", cooldown_ms=2_000, verify_ms=0),
        w.defined("reselect", name="other", min_severity="critical", **short),
        w.defined("juggle" if number > 30 else "rollback", name="wrong", **short),
    ]
    return catalogue_of(there if number < 35 else there[:3] + there[4:])
