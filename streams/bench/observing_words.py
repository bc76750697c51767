"""The report of `weir bench observe` in words: its table, its goals, and which are missed. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

GOALS: Mapping[str, float] = {"raw": 0.5, "bytewax": 5.0, "quix": 8.0, "faust": 50.0}
"""Weir's events per CPU second, at least so many times another's."""
MEMORY_MB = 2_000
FLAT = 2.0
"""The cost of an event with any number of series, at most so many times the least."""
NAMES = {
    "weir": "Weir, observe",
    "raw": "raw consumer",
    "bytewax": "Bytewax",
    "quix": "Quix Streams",
    "faust": "Faust",
}


def lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield a row per system: name, events, events/s, events per CPU second, Weir's ratio."""
    for name, told in NAMES.items():
        part = found[name]
        if part is None:
            if name in found["absent"]:
                yield told, "not measured", "", "", ""
            continue
        ratio = found["ratios"].get(name)
        shown = "" if ratio is None else f"{ratio:.2f}"
        rates = (f"{part['events_per_s']:,}", f"{part['events_per_cpu_s']:,}")
        yield told, f"{part['events']:,}", *rates, shown


def further(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each further figure."""
    for series, rate in sorted(found["series"].items(), key=lambda item: int(item[0])):
        yield f"{int(series):,} series: {rate:,} events per CPU second"
    if found["emission_us"] is not None:
        yield f"an observation costs {found['emission_us']} µs of CPU"
    if "memory" in found:
        memory = found["memory"]
        peak, before = memory["peak"], memory["before"]
        yield f"{memory['series']:,} open series: {peak:,.0f} MiB at most, {before:,.0f} before"
    if found["profile_us"]:
        parts = sorted(found["profile_us"].items(), key=lambda item: -item[1])
        yield "µs of CPU an event: " + ", ".join(f"{name} {cost:.2f}" for name, cost in parts)


def wrong(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the systems whose windows do not add up to their events, and by how much."""
    for name in NAMES:
        for word in found[name]["wrong"] if found[name] else ():
            yield name, word


def missed(found: Mapping[str, Any]) -> list[str]:
    """Return which goals are missed, in words; what was not measured misses none."""
    words = [
        f"{found['ratios'][name]:.2f} times {NAMES[name]} per CPU second, not {goal:g}"
        for name, goal in GOALS.items()
        if found["ratios"].get(name) is not None and found["ratios"][name] < goal
    ]
    rates = list(found["series"].values())
    if rates and max(rates) > FLAT * min(rates):
        words.append(
            f"an event costs {max(rates) / min(rates):.1f} times as much with the worst number of "
            f"series as with the best, not at most {FLAT:g}"
        )
    memory = found["memory_mb_million_series"]
    if memory is not None and memory > MEMORY_MB:
        words.append(f"a million series take {memory:,} MB, not {MEMORY_MB:,}")
    return words
