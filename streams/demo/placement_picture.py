"""The picture of a replay: allocation and fragmentation, rejections and moves, over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

_SHARES = (("asked", "asked for"), ("allocation", "allocated"), ("fragmentation", "fragmented"))
_COUNTS = (("rejected", "rejected"), ("moves", "moved"), ("lost", "lost"), ("down", "nodes down"))


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Write the report of a replay as a picture, PNG or SVG by the end of its name.

    The same report makes the same file.
    """
    over_time: Sequence[Mapping[str, float]] = report["over_time"]
    timed = "time" in over_time[-1]
    places = [row["time" if timed else "arrived"] for row in over_time]
    with mpl.rc_context({"svg.hashsalt": "weir"}):
        figure = Figure(figsize=(9, 6), layout="constrained")
        shares, counts = figure.subplots(2, 1, sharex=True)
        for axes, lines in ((shares, _SHARES), (counts, _COUNTS)):
            for key, label in lines:
                axes.plot(places, [row[key] for row in over_time], label=label, marker=".")
            axes.grid(visible=True, alpha=0.3)
            axes.legend(loc="upper left", fontsize="small")
        shares.set_ylabel("% of all GPU share")
        shares.set_title(
            f"{report['algorithm']}, seed {report['seed']}: {report['placed']} of "
            f"{report['arrived']} copies on {report['nodes']} nodes"
        )
        counts.set_ylabel("copies, nodes")
        counts.set_xlabel("time of the trace" if timed else "copies that came")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {})
