"""The demonstration's report: one HTML file with its plots inside."""

import html
import io
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from streams.demo.scenario import Outcome

mpl.use("agg")
COLOURS = {"drift": "#c0392b", "contract": "#e67e22", "ensemble": "#2471a3"}
BIN_S = 1.0


def write(story: Outcome) -> str:
    """Return the report as self-contained HTML."""
    figures = [
        ("Accuracy over time", _accuracy(story)),
        ("Latency in the workers", _latency(story)),
        ("Where everything ran", _places(story)),
    ]
    plots = "".join(f"<h2>{title}</h2>{_svg(figure)}" for title, figure in figures)
    rows = "".join(
        f"<tr><td>{(row['at'] - story.started_at) / 1000:.1f} s</td><td>{row['kind']}</td>"
        f"<td>{html.escape(row['text'])}</td></tr>"
        for row in story.decisions
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Weir: digits</title>'
        f"<style>{_STYLE}</style><h1>Handwritten digits under Weir</h1>"
        f"{_facts(story.summary)}{plots}<h2>Decisions and deeds</h2>"
        f"<table><tr><th>after</th><th>kind</th><th>what and why</th></tr>{rows}</table></html>"
    )


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-size:13px}td,th{padding:.2rem .7rem;text-align:left;
border-bottom:1px solid #ddd;vertical-align:top}td:first-child{white-space:nowrap}
svg{max-width:100%;height:auto}
"""


def _facts(summary: dict[str, Any]) -> str:
    flat: list[tuple[str, Any]] = []
    for name, value in summary.items():
        if isinstance(value, dict):
            flat += [(f"{name} {key}", inner) for key, inner in value.items()]
        else:
            flat.append((name, value))
    cells = "".join(
        f"<tr><th>{html.escape(name.replace('_', ' '))}</th>"
        f"<td>{'none' if value is None else html.escape(str(value))}</td></tr>"
        for name, value in flat
    )
    return f"<table>{cells}</table>"


def _seconds(story: Outcome, at: int) -> float:
    return (at - story.started_at) / 1000


def _accuracy(story: Outcome) -> Figure:
    bins: dict[int, list[bool]] = {}
    for row in story.answers:
        if row["labelled"]:
            bins.setdefault(int(_seconds(story, row["at"]) // BIN_S), []).append(row["right"])
    figure, axes = _figure(3.6)
    times = sorted(bins)
    shares = [sum(bins[t]) / len(bins[t]) for t in times]
    axes.plot([(t + 0.5) * BIN_S for t in times], shares, color="#222", linewidth=1.5)
    axes.set(ylim=(0, 1.02), ylabel="share of right answers", xlabel="seconds of traffic")
    if story.corrupted_at is not None:
        begun = _seconds(story, story.corrupted_at)
        axes.axvspan(begun, max([*times, begun]) + 1, color="#f5b7b1", alpha=0.4)
        axes.text(begun, 0.03, " corrupted input", color="#922b21")
    for kind, colour in COLOURS.items():
        marks = [_seconds(story, row["at"]) for row in story.decisions if row["kind"] == kind]
        for position, mark in enumerate(marks):
            label = kind if position == 0 else None
            axes.axvline(mark, color=colour, linewidth=1, linestyle="--", label=label)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", ncols=3, bbox_to_anchor=(0, 1))
    return figure


def _latency(story: Outcome) -> Figure:
    figure, axes = _figure(0.5 + 0.35 * max(3, len(story.services)))
    names = [f"{row['service']} on {row['node']}" for row in story.services]
    for share, colour in (("p99", "#d5d8dc"), ("p95", "#85929e"), ("p50", "#2e4053")):
        axes.barh(names, [row[share] for row in story.services], color=colour, label=share)
    axes.set(xlabel="queue and execution, ms")
    axes.invert_yaxis()
    axes.legend()
    return figure


def _places(story: Outcome) -> Figure:
    nodes = sorted({row["node"] for row in story.services})
    names = sorted({row["service"] for row in story.services})
    figure, axes = _figure(1.0 + 0.9 * max(1, len(nodes)))
    height = 0.8 / max(1, len(names))
    for row in story.services:
        place = nodes.index(row["node"]) - 0.4 + height * names.index(row["service"])
        first, last = _seconds(story, row["first"]), _seconds(story, row["last"])
        colour = f"C{names.index(row['service'])}"
        axes.barh(place, last - first, left=first, height=height, align="edge", color=colour)
    axes.set(yticks=range(len(nodes)), yticklabels=nodes, xlabel="seconds of traffic")
    for index, name in enumerate(names):
        axes.barh(0, 0, color=f"C{index}", label=name)
    if names:
        axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
    return figure


def _figure(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]
