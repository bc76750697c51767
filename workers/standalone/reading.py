"""From the content of a file to a run, or to one sentence about what is wrong in it. Pure."""

from typing import Any

from workers.simulation.reading import read
from workers.simulation.recorded import Recorded
from workers.standalone.config import MOST_FRAMES, Mode, Run
from workers.standalone.errors import RunRefused


def run_of(content: Any, where: str, recorded: Recorded | None = None) -> Run:
    """Return the run of a parsed file; `where` names the file in messages.

    `recorded` reads the files of recorded arrivals. Raises RunRefused, one line with file, field
    and remedy, for the first thing that is wrong, and what `recorded` raises.
    """
    return read(Run, content, where, recorded, RunRefused)


def mode_of(run: Run, name: str, where: str) -> Mode:
    """Return a mode by its name, that of the run where it is empty.

    Raises RunRefused for one that is not known, and for one under which too many frames arrive.
    """
    field = "--mode" if name else "mode"
    name = name or run.mode
    modes = run.known_modes()
    if name not in modes:
        raise RunRefused(f"{where}: {field}: {name!r} is unknown; one of {', '.join(modes)}")
    mode = modes[name]
    until = run.lasts_ms(mode) * mode.load
    frames = sum(service.arrivals.expected(until) for service in run.services)
    if frames > MOST_FRAMES:
        raise RunRefused(
            f"{where}: duration_ms: about {frames:,.0f} frames would arrive in mode {name}, and "
            f"{MOST_FRAMES:,} may; shorten duration_ms or lower the rates or the load"
        )
    return mode
