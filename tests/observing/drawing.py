"""Timelines of metrics and ways to batch them, drawn by Hypothesis."""

from hypothesis import settings
from hypothesis import strategies as st

from tests.observing.driving import Cuts
from tests.observing.reference import Row

FEW = settings(max_examples=max(1, settings().max_examples // 5))
"""For a property of every kind of window."""
BEGIN, FIRST_OFFSET = 1_000, 7
_VALUES = st.integers(-8, 8).map(lambda n: n / 4)
_SERVICES = st.sampled_from(["a", "b", "c"])
CUTS: st.SearchStrategy[Cuts] = st.lists(
    st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=5
)


def _tens(most: int) -> st.SearchStrategy[int]:
    """Draw whole tens, as all sizes are, so that times often meet the ends of windows."""
    return st.integers(0, most // 10).map(lambda n: 10 * n)


@st.composite
def timelines(draw: st.DrawFn, behind: int = 150, most: int = 50) -> list[Row]:
    """Draw rows in the order of their arrival, up to so many ms older than the newest.

    The last is of another service and so much newer that everything before it is told.
    """
    drawn = st.tuples(_tens(60), _tens(behind), _SERVICES, _VALUES)
    parts = draw(st.lists(drawn, min_size=1, max_size=most))
    made, clock = [], BEGIN
    for number, (step, back, service, value) in enumerate(parts):
        clock += step
        made.append(Row(FIRST_OFFSET + number, clock - back, service, value))
    return [*made, Row(FIRST_OFFSET + len(made), clock + 10_000, "end", 0.0)]


@st.composite
def arrivals(draw: st.DrawFn, lateness: int, most: int = 40) -> tuple[list[Row], list[Row]]:
    """Draw the same metrics, no two at the same time, in two orders within the lateness."""
    times = sorted(BEGIN + at for at in draw(st.sets(_tens(2_000), min_size=1, max_size=most)))
    rows = [(at, draw(_SERVICES), draw(_VALUES)) for at in times]
    rows.append((times[-1] + 10_000, "end", 0.0))
    return _arrived(draw, rows, lateness), _arrived(draw, rows, lateness)


def _arrived(draw: st.DrawFn, rows: list[tuple[int, str, float]], lateness: int) -> list[Row]:
    delays = [draw(_tens(lateness)) for _ in rows]
    order = sorted(range(len(rows)), key=lambda n: (rows[n][0] + delays[n], n))
    return [Row(FIRST_OFFSET + offset, *rows[n]) for offset, n in enumerate(order)]
