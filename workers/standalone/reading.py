"""From the content of a file to a run, or to one sentence about what is wrong in it. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from workers.simulation.recorded import Recorded, with_instants
from workers.standalone.config import MOST_FRAMES, Mode, Run
from workers.standalone.errors import RunRefused
from workers.wording import told


def run_of(content: Any, where: str, recorded: Recorded | None = None) -> Run:
    """Return the run of a parsed file; `where` names the file in messages.

    `recorded` reads the files of recorded arrivals. Raises RunRefused, one line with file, field
    and remedy, for the first thing that is wrong, and what `recorded` raises.
    """
    if not isinstance(content, Mapping):
        raise RunRefused(f"{where}: a run is a table of fields, such as name, services")
    try:
        run = Run.model_validate(content)
    except ValidationError as error:
        raise RunRefused(f"{where}: {told(error, content, Run, 'services')}") from None
    services = []
    for place, service in enumerate(run.services):
        field = f"{where}: services[{place}].arrivals.file"
        arrivals = with_instants(service.arrivals, field, recorded, RunRefused)
        services.append(service.model_copy(update={"arrivals": arrivals}))
    return run.model_copy(update={"services": tuple(services)})


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
