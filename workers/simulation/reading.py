"""From the content of a file to a scenario, or to one sentence about what is wrong in it. Pure."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from workers.simulation.errors import ScenarioRefused
from workers.simulation.scenario import Scenario

_NOT_A_NUMBER = "finite_number"
_REMEDIES = {
    _NOT_A_NUMBER: "write a finite number",
    "missing": "add it",
    "greater_than": "write a larger number",
    "greater_than_equal": "write a larger number",
    "less_than": "write a smaller number",
    "less_than_equal": "write a smaller number",
    "float_type": "write a number without quotes",
    "int_type": "write a whole number without quotes",
    "union_tag_not_found": "say which with `kind`",
}


def scenario_of(content: Any, where: str) -> Scenario:
    """Return the scenario of a parsed file; `where` names the file in messages.

    Raises ScenarioRefused, one line with file, field and remedy, for the first thing that is wrong.
    """
    if not isinstance(content, Mapping):
        raise ScenarioRefused(f"{where}: a scenario is a table of fields, such as name, services")
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        raise ScenarioRefused(f"{where}: {_told(error, content)}") from None


def _told(error: ValidationError, content: Any) -> str:
    first = error.errors(include_url=False, include_context=True)[0]
    kind, place, value = first["type"], first["loc"], first["input"]
    field = _path(place, content, absent=kind in ("missing", "extra_forbidden"))
    if kind == "extra_forbidden":
        return f"{field}: unknown key; {_instead(place)}"
    if kind == "value_error":
        return f"{field or 'services'}: {first['ctx']['error']}"
    told = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    remedy = f"; {_REMEDIES[kind]}" if kind in _REMEDIES else ""
    if kind == "missing":
        return f"{field}: it is missing{remedy}"
    if kind.startswith("union_tag"):
        known = str(first.get("ctx", {}).get("expected_tags", "")) or "one of the known kinds"
        return f"{field}.kind: it is {known}{remedy}"
    return f"{field}: it is {_shown(value)} and should be {told}{remedy}"


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
