"""From the content of a file to a scenario, or to one sentence about what is wrong in it. Pure."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from workers.errors import WorkerError
from workers.simulation.errors import ScenarioRefused
from workers.simulation.parts import File
from workers.simulation.recorded import Recorded, with_instants
from workers.simulation.scenario import Scenario
from workers.wording import told

F = TypeVar("F", bound=File)


def scenario_of(content: Any, where: str, recorded: Recorded | None = None) -> Scenario:
    """Return the scenario of a parsed file; `where` names the file in messages.

    `recorded` reads the files of recorded arrivals. Raises ScenarioRefused, one line with file,
    field and remedy, for the first thing that is wrong, and what `recorded` raises.
    """
    return read(Scenario, content, where, recorded, ScenarioRefused)


def read(
    kind: type[F],
    content: Any,
    where: str,
    recorded: Recorded | None,
    refused: type[WorkerError],
) -> F:
    """Return what `scenario_of` says, for any kind of file with services.

    Raises `refused`, and what `recorded` raises.
    """
    name = kind.__name__
    if not isinstance(content, Mapping):
        raise refused(f"{where}: a {name.lower()} is a table of fields, such as name, services")
    try:
        made = kind.model_validate(content)
    except ValidationError as error:
        raise refused(f"{where}: {told(error, content, kind, 'services')}") from None
    services = []
    for place, service in enumerate(made.services):
        field = f"{where}: services[{place}].arrivals.file"
        arrivals = with_instants(service.arrivals, field, recorded, refused)
        services.append(service.model_copy(update={"arrivals": arrivals}))
    return made.model_copy(update={"services": tuple(services)})
