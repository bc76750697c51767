"""From a file that pydantic refuses to one sentence: field, what is wrong, what would do. Pure."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

_REMEDIES = {
    "greater_than": "write a larger number",
    "greater_than_equal": "write a larger number",
    "less_than": "write a smaller number",
    "less_than_equal": "write a smaller number",
    "float_type": "write a number such as 12.5, without quotes",
    "int_type": "write a whole number such as 3, without quotes",
}
_SHAPES = {
    "model_type": "a table of fields",
    "model_attributes_type": "a table of fields",
    "tuple_type": "a list",
    "too_short": "a list with at least one entry",
    "string_pattern_mismatch": "up to 100 letters, digits, '.', '_', '-', a letter or digit first",
    "union_tag_not_found": "a table whose `kind` says which",
}


def told(error: ValidationError, content: Any, kind: type[BaseModel], whole: str) -> str:
    """Return the first error as field, what is wrong, and what would do.

    `content` is what was to be a `kind`; `whole` is what is named where the error is of no field.
    """
    errors = error.errors(include_url=False)
    first = errors[0]
    wrong, place = first["type"], first["loc"]
    field = _path(place, content, absent=wrong in ("missing", "extra_forbidden"))
    match wrong:
        case "invalid_key":
            field = _path(place[:-1], content, absent=False)
            said = f": key {first['input']!r} is no text; quote it"
        case "extra_forbidden":
            said = f": unknown key; {_instead(place, kind.model_json_schema())}"
        case "missing":
            said = f": it is missing; {_meant(place, errors)}"
        case "value_error":
            field, said = field or whole, f": {first['ctx']['error']}"
        case "union_tag_invalid":
            context = first["ctx"]
            said = f".kind: {context['tag']!r} is unknown; one of {context['expected_tags']}"
        case _:
            said = f": it is {_shown(first['input'])} and should be {_wanted(wrong, first['msg'])}"
    return f"{field}{said}"


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


def _instead(place: Sequence[int | str], schema: dict[str, Any]) -> str:
    known = _known_keys(place[:-1], schema)
    near = get_close_matches(str(place[-1]), known, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known are {', '.join(known)}" if known else f"{hint}remove it"


def _meant(place: Sequence[int | str], errors: Sequence[Mapping[str, Any]]) -> str:
    """Return what would do where a key is missing; an unknown one beside it may be meant."""
    beside = [each["loc"] for each in errors if each["type"] == "extra_forbidden"]
    unknown = [str(other[-1]) for other in beside if other[:-1] == place[:-1]]
    if near := get_close_matches(str(place[-1]), unknown, 1):
        return f"rename the unknown key {near[0]!r}"
    return f"add it; the key {unknown[0]!r} is unknown" if unknown else "add it"


def _known_keys(place: Sequence[int | str], schema: dict[str, Any]) -> list[str]:
    """Return the fields of the part at a place, by the schema."""
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
