"""A plan as a picture: each node as a bar of CPU and of memory, and whose copies fill it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from html import escape

from schemas.decisions import Assignment, PlacementDecided
from schemas.registrations import NodeReported

MOST_NODES = 200
_WIDTH, _BAR, _ROW, _LEFT, _TOP = 640, 14, 42, 170, 40
_HUES = 47
"""Degrees from the colour of one service to that of the next, so that neighbours differ."""
Held = list[tuple[str, Assignment, bool]]


def svg(
    nodes: Mapping[str, NodeReported],
    before: Mapping[str, PlacementDecided],
    plan: Iterable[PlacementDecided],
) -> str:
    """Return the picture; copies that the plan adds have a dark border, nodes are by name.

    Those with copies come first; at most 200 are shown.
    """
    decided = {**before, **{one.service: one for one in plan}}
    held: dict[str, Held] = {}
    for service, one in sorted(decided.items()):
        known = before[service].assignments if service in before else ()
        there = {assignment.instance for assignment in known}
        for assignment in one.assignments:
            new = assignment.instance not in there
            held.setdefault(assignment.node, []).append((service, assignment, new))
    hues = {service: number * _HUES % 360 for number, service in enumerate(sorted(decided))}
    shown = sorted(nodes, key=lambda name: (name not in held, name))[:MOST_NODES]
    height = _TOP + _ROW * len(shown) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="22">{len(held)} of {len(nodes)} nodes hold '
        f"{sum(map(len, held.values()))} copies; upper bar CPU, lower bar memory</text>",
    ]
    for row, name in enumerate(shown):
        parts += _node(nodes[name], held.get(name, []), hues, _TOP + row * _ROW)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _node(node: NodeReported, held: Held, hues: Mapping[str, int], top: int) -> Iterator[str]:
    yield f'<text x="10" y="{top + 18}">{escape(node.node)}</text>'
    cpu = [(service, one.cpu_milli, new) for service, one, new in held]
    yield from _bar(cpu, node.cpu_milli, node.cpu_used_milli, hues, top, "m")
    memory = [(service, one.memory_mib, new) for service, one, new in held]
    lower = top + _BAR + 2
    yield from _bar(memory, node.memory_mib, node.memory_used_mib, hues, lower, "MiB")


def _bar(
    held: list[tuple[str, int, bool]],
    capacity: int,
    used: int,
    hues: Mapping[str, int],
    top: int,
    unit: str,
) -> Iterator[str]:
    scale = _WIDTH / max(1, capacity)
    yield (
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_BAR}" fill="#f4f4f4" '
        f'stroke="#bbb"><title>{capacity} {unit}</title></rect>'
    )
    parts = [("used by others", used, False, "#999")]
    parts += [(name, much, new, f"hsl({hues[name]},60%,65%)") for name, much, new in held]
    left = float(_LEFT)
    for name, much, new, colour in parts:
        if much <= 0:
            continue
        border = "#222" if new else "white"
        yield (
            f'<rect x="{left:.1f}" y="{top}" width="{much * scale:.1f}" height="{_BAR}" '
            f'fill="{colour}" stroke="{border}"><title>{escape(name)}: {much} {unit}</title></rect>'
        )
        left += much * scale
