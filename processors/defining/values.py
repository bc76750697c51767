"""Values of defined metrics: all expressions over the same rows together.

Columns, filters and aggregates that several expressions have in common are computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from processors.defining.groups import Called, Grouping
from processors.defining.rows import Rows, Shared, looks_at, meeting, needed
from processors.expressions.expression import Compiled


@dataclass(frozen=True, slots=True)
class Asked:
    """An expression and the fields of the series that make its groups."""

    expression: Compiled
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The value of an expression (`asked`, its number) in one group of one window.

    `group` has the values of its fields; `count` is how many rows the group has of the series
    that the expression looks at, `sources` their partitions, first and last offsets.
    """

    asked: int
    window: int
    group: tuple[str, ...]
    value: float
    count: int
    sources: tuple[tuple[int, int, int], ...]


def answers(asked: Sequence[Asked], rows: Rows, called: Called | None = None) -> list[Answer]:
    """Return the values of expressions in all groups and windows where they have one.

    Ordered by expression, window and group. There is a group where there are rows of the series
    that the expression looks at. `called` computes plug-ins.
    """
    conditions = [looks_at(one.expression) for one in asked]
    masks = {condition: meeting(condition, rows.series) for condition in conditions}
    rows = needed(rows, list(masks.values()))
    if rows.frame.is_empty():
        return []
    groupings = _groupings(asked, Shared(rows), called)
    found: list[Answer] = []
    for number, (one, condition) in enumerate(zip(asked, conditions, strict=True)):
        grouping = groupings[one.fields]
        values = grouping.values(one.expression.tree)
        for group in grouping.groups(condition, masks[condition]):
            value = values[group.row]
            if value is not None:
                found.append(
                    Answer(number, group.window, group.fields, value, group.count, group.sources)
                )
    return found


def _groupings(
    asked: Sequence[Asked], shared: Shared, called: Called | None
) -> dict[tuple[str, ...], Grouping]:
    made = {}
    for fields in dict.fromkeys(one.fields for one in asked):
        some = [one.expression.aggregates for one in asked if one.fields == fields]
        unique = tuple(dict.fromkeys(call for calls in some for call in calls))
        made[fields] = Grouping(shared, fields, unique, called)
    return made
