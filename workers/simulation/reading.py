"""From the content of a file to a scenario, or to one sentence about what is wrong in it. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from workers.simulation.errors import ScenarioRefused
from workers.simulation.recorded import Recorded, with_instants
from workers.simulation.scenario import Scenario
from workers.wording import told


def scenario_of(content: Any, where: str, recorded: Recorded | None = None) -> Scenario:
    """Return the scenario of a parsed file; `where` names the file in messages.

    `recorded` reads the files of recorded arrivals. Raises ScenarioRefused, one line with file,
    field and remedy, for the first thing that is wrong, and what `recorded` raises.
    """
    if not isinstance(content, Mapping):
        raise ScenarioRefused(f"{where}: a scenario is a table of fields, such as name, services")
    try:
        scenario = Scenario.model_validate(content)
    except ValidationError as error:
        raise ScenarioRefused(f"{where}: {told(error, content, Scenario, 'services')}") from None
    services = []
    for place, service in enumerate(scenario.services):
        field = f"{where}: services[{place}].arrivals.file"
        arrivals = with_instants(service.arrivals, field, recorded, ScenarioRefused)
        services.append(service.model_copy(update={"arrivals": arrivals}))
    return scenario.model_copy(update={"services": tuple(services)})
