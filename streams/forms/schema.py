"""What people may write of a node or a service: as a JSON schema, and as a form to fill in. Pure.

Both are made from the Avro schemas of the events, so that no field can be forgotten.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas import files

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {"string": "string", "long": "integer", "double": "number", "boolean": "boolean"}
_EXAMPLES: dict[str, Any] = {"string": "", "integer": 0, "number": 0.0, "boolean": False}


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a registration.

    `own` are the fields that Weir fills in itself, `lent` what holds for fields that the event
    needs and a file may leave out; `example` has values for those that it may not.
    """

    record: str
    noun: str
    own: frozenset[str]
    lent: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plural(self) -> str:
        """Return the name of a list of them."""
        return f"{self.noun}s"


NODE = Form(
    "NodeReported",
    "node",
    frozenset({"heartbeat", "expires_at", "source", "event_id"}),
    {"architecture": "", "operating_system": "", "status": "ready"},
    {"node": "edge-1", "cpu_milli": 4000, "memory_mib": 8192},
)
SERVICE = Form(
    "ServiceRegistered",
    "service",
    frozenset({"service_id", "registered_at", "event_id"}),
    {"image": "", "cpu_milli": 100, "memory_mib": 64},
    {"service": "detector", "app": "cameras", "stage": "detect"},
)


def schema(form: Form) -> dict[str, Any]:
    """Return the JSON schema of a file: one of them, a list, or a list under its name."""
    parts: dict[str, Any] = {}
    record = files.schema(form.record)
    record["fields"] = [one for one in record["fields"] if one["name"] not in form.own]
    one = {"$ref": f"#/$defs/{_record(record, parts)}"}
    parts[form.record]["required"] = sorted(form.example)
    for name, value in form.lent.items():
        parts[form.record]["properties"][name]["default"] = value
    many = {"type": "array", "items": one, "minItems": 1}
    under = {
        "type": "object",
        "properties": {form.plural: many},
        "required": [form.plural],
        "additionalProperties": False,
    }
    return {"$schema": DIALECT, "title": form.plural, "anyOf": [one, many, under], "$defs": parts}


def _record(record: Mapping[str, Any], parts: dict[str, Any]) -> str:
    """Put the schema of a record among the parts, and return its name."""
    name = str(record["name"])
    parts[name] = {"type": "object", "description": record["doc"], "additionalProperties": False}
    told = {}
    for one in record["fields"]:
        told[one["name"]] = {"description": one["doc"]} | _type(one["type"], parts)
        if "default" in one:
            told[one["name"]]["default"] = one["default"]
    parts[name]["properties"] = told
    parts[name]["required"] = [one["name"] for one in record["fields"] if "default" not in one]
    return name


def _type(kind: Any, parts: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, list):
        return {"anyOf": [{"type": "null"}, _type(kind[1], parts)]}
    if isinstance(kind, str):
        return {"type": _PLAIN[kind]} if kind in _PLAIN else _named(kind.rpartition(".")[2])
    if kind["type"] == "array":
        items = _type(kind["items"], parts)
        many = {"type": "array", "items": items}
        if items == _named("KeyValue"):
            return {"anyOf": [many, {"type": "object", "additionalProperties": {"type": "string"}}]}
        return many
    return _named(_record(kind, parts)) if kind["type"] == "record" else _type(kind["type"], parts)


def _named(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def template(form: Form) -> str:
    """Return a form in TOML with every field, what it means, and what holds without it."""
    whole = schema(form)
    parts = whole["$defs"]
    own = parts[form.record]
    lines = [
        f"# {own['description']}",
        f"# Several: one [[{form.plural}]] table each. Without `# `, a line counts; the values in",
        "# lines with it are what holds anyway, or examples.",
    ]
    for name, told in own["properties"].items():
        lines += ["", f"# {told['description']}"]
        if name in form.example:
            lines.append(f"{name} = {_toml(form.example[name])}")
        else:
            lines.append(f"# {name} = {_toml(_value(told, parts))}")
    return "\n".join(lines) + "\n"


def _value(told: Mapping[str, Any], parts: Mapping[str, Any]) -> Any:
    """Return what a field holds by default, or an example of what it may hold."""
    default = told.get("default")
    if default not in (None, []):
        return default
    if "$ref" in told:
        part = parts[told["$ref"].rpartition("/")[2]]
        return {name: _value(one, parts) for name, one in part["properties"].items()}
    if "anyOf" in told:
        kinds = [one for one in told["anyOf"] if one.get("type") != "null"]
        return {} if kinds[-1].get("type") == "object" else _value(kinds[0], parts)
    if told["type"] == "array":
        return [_value(told["items"], parts)] if "$ref" in told["items"] else []
    return default if default is not None else _EXAMPLES[told["type"]]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        told = ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items())
        return f"{{ {told} }}" if told else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value)
