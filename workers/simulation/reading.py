"""From the content of a file to a scenario, or to one sentence about what is wrong in it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from workers.simulation.arrivals import Trace
from workers.simulation.errors import ScenarioRefused
from workers.simulation.scenario import Scenario, Service

_REMEDIES = {
    "greater_than": "write a larger number",
    "greater_than_equal": "write a larger number",
    "less_than": "write a smaller number",
    "less_than_equal": "write a smaller number",
    "float_type": "write a number such as 12.5, without quotes",
    "int_type": "write a whole number such as 3, without quotes",
}
Recorded = Callable[[str], Sequence[float]]
"""Reads the instants (ms) of a file that stands beside the scenario."""
_SHAPES = {
    "model_type": "a table of fields",
    "model_attributes_type": "a table of fields",
    "tuple_type": "a list",
    "too_short": "a list with at least one entry",
    "string_pattern_mismatch": "up to 100 letters, digits, '.', '_', '-', a letter or digit first",
    "union_tag_not_found": "a table whose `kind` says which",
}


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
        raise ScenarioRefused(f"{where}: {_told(error, content)}") from None
    services = tuple(
        _with_instants(service, f"{where}: services[{place}].arrivals.file", recorded)
        for place, service in enumerate(scenario.services)
    )
    return scenario.model_copy(update={"services": services})


def _with_instants(service: Service, field: str, recorded: Recorded | None) -> Service:
    """Return the service with the instants of the file that it names, if it does."""
    arrivals = service.arrivals
    if not isinstance(arrivals, Trace) or not arrivals.file:
        return service
    if recorded is None:
        raise ScenarioRefused(f"{field}: files are not read here; give at_ms")
    try:
        read = Trace(kind="trace", at_ms=tuple(recorded(arrivals.file)))
    except ValidationError as error:
        told = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ScenarioRefused(f"{field}: {arrivals.file}: {told}") from None
    return service.model_copy(update={"arrivals": read})


def _told(error: ValidationError, content: Any) -> str:
    """Return the first error as field, what is wrong, and what would do."""
    first = error.errors(include_url=False)[0]
    kind, place = first["type"], first["loc"]
    field = _path(place, content, absent=kind in ("missing", "extra_forbidden"))
    match kind:
        case "invalid_key":
            field = _path(place[:-1], content, absent=False)
            told = f": key {first['input']!r} is no text; quote it"
        case "extra_forbidden":
            told = f": unknown key; {_instead(place)}"
        case "missing":
            told = ": it is missing; add it"
        case "value_error":
            field, told = field or "services", f": {first['ctx']['error']}"
        case "union_tag_invalid":
            context = first["ctx"]
            told = f".kind: {context['tag']!r} is unknown; one of {context['expected_tags']}"
        case _:
            told = f": it is {_shown(first['input'])} and should be {_wanted(kind, first['msg'])}"
    return f"{field}{told}"


def _wanted(kind: str, message: str) -> str:
    if kind in _SHAPES:
        return _SHAPES[kind]
    remedy = f"; {_REMEDIES[kind]}" if kind in _REMEDIES else ""
    return message.removeprefix("Input should be ") + remedy


def _path(place: Sequence[int | str], content: Any, *, absent: bool) -> str:
    """Return services[0].queue.tasks; tags of kinds, which the file does not hold, are left out."""
    told, inside = "", content
    for number, step in enumerate(place):
        if isinstance(step, int):
            told, inside = f"{told}[{step}]", _entry(inside, step)
        elif isinstance(inside, Mapping) and step in inside:
            told, inside = f"{told}.{step}", inside[step]
        elif absent and number == len(place) - 1:
            told = f"{told}.{step}"
    return told.removeprefix(".")


def _entry(inside: Any, step: int) -> Any:
    return inside[step] if isinstance(inside, Sequence) and step < len(inside) else None


def _instead(place: Sequence[int | str]) -> str:
    known = _known_keys(place[:-1])
    near = get_close_matches(str(place[-1]), known, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known are {', '.join(known)}" if known else f"{hint}remove it"


def _known_keys(place: Sequence[int | str]) -> list[str]:
    """Return the fields of the part at a place, by the schema."""
    schema = Scenario.model_json_schema()
    part: dict[str, Any] = schema
    for step in place:
        part = _resolved(part, schema)
        if isinstance(step, int):
            part = part.get("items", {})
        elif step in part.get("properties", {}):
            part = part["properties"][step]
        else:
            part = part.get("discriminator", {}).get("mapping", {}).get(step, {})
            part = {"$ref": part} if isinstance(part, str) else part
    return list(_resolved(part, schema).get("properties", {}))


def _resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for wrapper in ("anyOf", "allOf"):
        for choice in part.get(wrapper, ()):
            if "$ref" in choice:
                part = choice
    if "$ref" not in part:
        return part
    found: dict[str, Any] = schema["$defs"][part["$ref"].rpartition("/")[2]]
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
