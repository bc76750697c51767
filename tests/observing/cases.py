"""Windows of every kind: how they are defined, and what is to be observed of rows."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.registrations import WindowDefined
from tests.observing import reference as plain
from tests.observing.driving import defined
from tests.observing.reference import Computed, Row, spans

LATENESS = 40


@dataclass(frozen=True)
class Case:
    """A definition and what is to be observed under it."""

    definition: WindowDefined
    computed: Callable[[list[Row]], Computed]


def case(computed: Callable[[list[Row]], Computed], kind: str, **sizes: int) -> Case:
    """Return a case whose definition has the lateness that all references here are given."""
    return Case(defined(kind=kind, allowed_lateness_ms=LATENESS, **sizes), computed)


CASES: dict[str, Case] = {
    "tumbling": case(
        lambda rows: plain.on_grid(rows, spans(100, 100), LATENESS), "tumbling", size_ms=100
    ),
    "aligned": case(
        lambda rows: plain.on_grid(rows, spans(100, 100, 30), LATENESS),
        "tumbling",
        size_ms=100,
        align_ms=30,
    ),
    "hopping": case(
        lambda rows: plain.on_grid(rows, spans(150, 60, 10), LATENESS),
        "hopping",
        size_ms=150,
        interval_ms=60,
        align_ms=10,
    ),
    "sampling": case(
        lambda rows: plain.on_grid(rows, spans(50, 120), LATENESS),
        "hopping",
        size_ms=50,
        interval_ms=120,
    ),
    "session": case(lambda rows: plain.sessions(rows, 70, 0, LATENESS), "session", gap_ms=70),
    "bounded session": case(
        lambda rows: plain.sessions(rows, 70, 110, LATENESS), "session", gap_ms=70, size_ms=110
    ),
    "count": case(lambda rows: plain.counts(rows, 4, 4, LATENESS), "count", size_events=4),
    "overlapping count": case(
        lambda rows: plain.counts(rows, 5, 2, LATENESS), "count", size_events=5, interval_events=2
    ),
    "sampling count": case(
        lambda rows: plain.counts(rows, 2, 3, LATENESS), "count", size_events=2, interval_events=3
    ),
    "last events": case(
        lambda rows: plain.trailing_time(rows, 3, 200, 100, LATENESS),
        "trailing",
        size_events=3,
        size_ms=200,
        interval_ms=100,
    ),
    "last time": case(
        lambda rows: plain.trailing_events(rows, 90, 3, LATENESS),
        "trailing",
        size_ms=90,
        interval_events=3,
    ),
}
