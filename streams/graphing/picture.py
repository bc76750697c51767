"""The graph of an application as text or as a picture: its stages, who serves them. Pure."""

from collections.abc import Iterator, Sequence
from html import escape

from processors.graphs.shape import earlier_of
from schemas.graphs import Condition, Stage
from schemas.registrations import ApplicationRegistered

_WIDE, _HIGH, _GAP_X, _GAP_Y, _TOP, _LINE = 190, 78, 70, 22, 46, 16
_COLOURS = {"": "#dcecf9", "cascade": "#fdebd0", "split": "#e8daef", "preprocess": "#d5f5e3"}
_MOST_NAMED = 3
"""Services of a stage that a picture names; the others are counted."""


def levels(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Return stages by the length of the longest way to them; what waits comes later.

    Names that no earlier stage has count for nothing.
    """
    depth: dict[str, int] = {}
    found: list[list[Stage]] = []
    for stage in stages:
        before = [depth[name] for name in earlier_of(stage) if name in depth]
        depth[stage.stage] = level = max(before, default=-1) + 1
        if level == len(found):
            found.append([])
        found[level].append(stage)
    return found


def told(condition: Condition) -> str:
    """Return a condition as people read it."""
    value = ", ".join(condition.labels) if condition.on == "label" else f"{condition.threshold:g}"
    return f"{condition.on} of {condition.stage} {condition.operator} {value}"


def text(app: ApplicationRegistered) -> str:
    """Return the graph as lines, a paragraph for each level of stages that may run at once."""
    head = f"{app.app}: {len(app.stages)} stages"
    if app.combine:
        head += f", combined by {app.combine}"
    if app.quorum:
        head += f", early with {app.quorum} answers"
    lines = [head]
    for number, level in enumerate(levels(app.stages), 1):
        for stage in level:
            lines += ["", f"{number}. {stage.stage} ({stage.kind or 'ensemble'})"]
            lines += [f"   {line}" for line in _facts(stage)]
    return "\n".join(lines)


def _facts(stage: Stage) -> Iterator[str]:
    """Yield what is said of a stage, most important first."""
    yield from (f"if {told(condition)}" for condition in stage.conditions)
    if stage.inputs:
        yield f"reads {', '.join(stage.inputs)}"
    elif stage.modality:
        yield f"reads the request's {stage.modality}"
    yield f"asks {_asked(stage)}"
    if stage.takes or stage.gives:
        yield f"takes {_tensors(stage.takes)}; gives {_tensors(stage.gives)}"
    if stage.combine:
        yield f"combined by {stage.combine}"
    if stage.deadline_share:
        yield f"within {stage.deadline_share:.0%} of the deadline"
    if stage.optional:
        yield "the answer may do without it"


def _asked(stage: Stage) -> str:
    if stage.kind == "split":
        return ", ".join(f"{one.service} {one.weight:g} {one.role}" for one in stage.splits)
    services = ", ".join(stage.services) or "nobody"
    if stage.kind == "cascade":
        return f"{services} in turn while confidence is below {stage.escalate_below:g}"
    return services


def _tensors(tensors: Sequence[object]) -> str:
    return ", ".join(getattr(one, "name", "") for one in tensors) or "whatever comes"


def svg(app: ApplicationRegistered) -> str:
    """Return the graph as a picture: time runs to the right, a broken line is a condition."""
    columns = levels(app.stages)
    places = {
        stage.stage: (20 + column * (_WIDE + _GAP_X), _TOP + row * (_HIGH + _GAP_Y))
        for column, level in enumerate(columns)
        for row, stage in enumerate(level)
    }
    width = 40 + max(1, len(columns)) * (_WIDE + _GAP_X) - _GAP_X
    height = _TOP + max((len(level) for level in columns), default=1) * (_HIGH + _GAP_Y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="20" y="26" font-size="15">{escape(app.app)}</text>',
    ]
    for stage in app.stages:
        parts += _arrows(stage, places)
    for stage in app.stages:
        parts += _box(stage, places[stage.stage])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _arrows(stage: Stage, places: dict[str, tuple[int, int]]) -> Iterator[str]:
    to_x, to_y = places[stage.stage]
    reasons = {condition.stage: told(condition) for condition in stage.conditions}
    for name in earlier_of(stage):
        if name not in places:
            continue
        x, y = places[name][0] + _WIDE, places[name][1] + _HIGH // 2
        end = to_y + _HIGH // 2
        bend = (x + to_x) // 2
        dashes = ' stroke-dasharray="5 4"' if name in reasons else ""
        yield (
            f'<path d="M{x},{y} C{bend},{y} {bend},{end} {to_x},{end}" fill="none" '
            f'stroke="#555"{dashes}><title>{escape(reasons.get(name, name))}</title></path>'
        )
        yield f'<path d="M{to_x},{end} l-8,-4 l0,8 z" fill="#555"/>'


def _box(stage: Stage, place: tuple[int, int]) -> Iterator[str]:
    x, y = place
    colour = _COLOURS.get(stage.kind, _COLOURS[""])
    border = ' stroke-dasharray="3 3"' if stage.optional else ""
    facts = "; ".join(_facts(stage))
    yield (
        f'<rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="6" fill="{colour}" '
        f'stroke="#333"{border}><title>{escape(facts)}</title></rect>'
    )
    named = [one.service for one in stage.splits] or list(stage.services)
    more = len(named) - _MOST_NAMED
    who = ", ".join(named[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    lines = [stage.stage, stage.kind or "ensemble", who or "nobody"]
    if stage.conditions:
        lines.append(f"if {told(stage.conditions[0])}")
    for number, line in enumerate(lines):
        weight = ' font-weight="bold"' if number == 0 else ""
        yield (
            f'<text x="{x + 8}" y="{y + 18 + number * _LINE}"{weight}>'
            f"{escape(line if len(line) <= 30 else line[:29] + '…')}</text>"
        )
