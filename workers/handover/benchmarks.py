"""What a benchmark found, as the declared time of a service and a budget for it. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workers.handover.documents import (
    AGENT_TASK,
    RESULT,
    VERSION,
    Fields,
    positive,
    remedy,
    shown,
)
from workers.handover.errors import DocumentRefused

FIRST = ("expected_latency_ms", "mean_latency_ms", "p95_latency_ms", "latency_ms")
"""Fields that say how long an execution takes, the first that a table has; ms."""
THEN = ("latency_ms.p50", "latency_ms.mean", "p50_ms", "mean_ms", "latency_mean_ms")
"""Where no table has any of those: what others write in their place, best first."""
MULTIPLIER = 1.5
LEAST_BUDGET_MS = 1.0
_MOST_DEPTH = 50
_ROUNDING = 1e-9
"""42.0 x 1.5 may be off by less than this; such a product is not rounded up to the next ms."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The time (ms) of one execution, at which field it stood, and the budget (ms) made of it.

    `batch` is how many inputs were executed together, `agent` whose measurement it is, if it says.
    """

    field: str
    latency_ms: float
    multiplier: float
    budget_ms: float
    batch: int = 1
    agent: str = ""

    @property
    def told(self) -> str:
        """Return in words what was made of what."""
        product = self.latency_ms * self.multiplier
        return (
            f"{self.latency_ms:g} ms at {self.field}; budget {self.budget_ms:g} ms "
            f"({self.latency_ms:g} x {self.multiplier:g} = {product:g}, rounded up)"
        )

    @property
    def profile_ms(self) -> float | None:
        """Return the declared time of one task; None where several were executed together."""
        return self.latency_ms if self.batch == 1 else None

    @property
    def serve(self) -> dict[str, str]:
        """Return what it says of serving, as entries of a service's environment."""
        budget = {"serve.budget_ms": f"{self.budget_ms:g}"}
        return budget | (
            {} if self.batch == 1 else {f"serve.batch_ms.{self.batch}": f"{self.latency_ms:g}"}
        )


def benchmark_of(
    content: Any, where: str, *, field: str = "", multiplier: float = MULTIPLIER
) -> Benchmark:
    """Return what a result says of one execution; `where` names the file in messages.

    Tables are looked through from the outside in, in the order of the file; in each the first of
    FIRST counts that is a number. `field`, such as agent.telemetry_snapshot.latency_p95_ms, names
    another one. Raises DocumentRefused for another version of the format, for no such field, for
    one that holds no time, and for a multiplier below 1.
    """
    if not (math.isfinite(multiplier) and multiplier >= 1.0):
        raise DocumentRefused(f"multiplier is {multiplier:g}; give a finite number of at least 1")
    fields = Fields(content, where, "an object with a latency field")
    _check_versions(fields)
    place, latency = _named(fields, field) if field else _found(fields)
    product = latency * multiplier
    if not math.isfinite(product):
        raise DocumentRefused(f"{where}: {place} is {latency:g}; no budget is that long")
    budget = float(math.ceil(max(product, LEAST_BUDGET_MS) - _ROUNDING))
    agent = fields.plain.get("agent")
    who = fields.table("agent").text("agent_id", "") if isinstance(agent, Mapping) else ""
    batch = max(1, fields.whole("batch", 1))
    return Benchmark(place, latency, multiplier, budget, batch, who)


def _check_versions(fields: Fields) -> None:
    """Results without a version are taken: many tools write only what they measured."""
    said = fields.plain.get(VERSION)
    if isinstance(said, str) and said.startswith("inferedge-") and said != RESULT:
        raise fields.wrong(VERSION, f"is {said!r}; {remedy(said, RESULT)}")
    if said is not None and not isinstance(said, str):
        raise fields.wrong(VERSION, f"is {shown(said)}; write a text such as {RESULT!r}")
    if isinstance(fields.plain.get("agent"), Mapping):
        fields.table("agent").version(AGENT_TASK, needed=False)


def _found(fields: Fields) -> tuple[str, float]:
    for path, table in _tables(fields.plain, (), fields.where):
        for name in FIRST:
            value = table.get(name)
            if value is not None and not isinstance(value, Mapping | list):
                place = ".".join((*path, name))
                return place, positive(value, f"{fields.where}: {place}")
    for name in THEN:
        for path, table in _tables(fields.plain, (), fields.where):
            value = _at(table, name)
            if value is not None:
                place = ".".join((*path, name))
                return place, positive(value, f"{fields.where}: {place}")
    raise DocumentRefused(
        f"{fields.where}: it has none of {', '.join((*FIRST, *THEN))}; name another field with "
        "--field, such as runtime.summary.p99_ms"
    )


def _named(fields: Fields, field: str) -> tuple[str, float]:
    value = _at(fields.plain, field)
    if value is None:
        raise DocumentRefused(f"{fields.where}: {field} is missing; --field names one of the file")
    return field, positive(value, f"{fields.where}: {field}")


def _at(table: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(table, list) and step.isdecimal() and int(step) < len(table):
            table = table[int(step)]
        elif isinstance(table, Mapping):
            table = table.get(step)
        else:
            return None
    return table


def _tables(
    value: Any, path: tuple[str, ...], where: str
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield all tables with where they are, each before those in it."""
    if len(path) > _MOST_DEPTH:
        raise DocumentRefused(
            f"{where}: it is nested deeper than {_MOST_DEPTH}; give a flatter one"
        )
    if isinstance(value, Mapping):
        yield path, value
        for name, inner in value.items():
            yield from _tables(inner, (*path, str(name)), where)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _tables(inner, (*path, str(place)), where)
