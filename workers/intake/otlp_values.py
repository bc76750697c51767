"""Values, attributes and resources of OpenTelemetry as text. Pure."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.common.v1.common_pb2 import KeyValue as Attribute
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from schemas.records import KeyValue
from workers.intake.naming import MAX_TEXT, Names, Who, canonical, digest, text, who
from workers.intake.translated import NS_PER_MS

MAX_ATTRIBUTES = 32
MAX_VALUE = 1_024
"""Longest value of an attribute that is kept, characters."""
MAX_DEPTH = 16


def plain(value: AnyValue, depth: int = 0) -> Any:
    """Return a value as JSON has it; bytes in base 64, what is nested too deep as '…'."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if depth > MAX_DEPTH:
        return "…"
    if kind == "array_value":
        return [plain(item, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {entry.key: plain(entry.value, depth + 1) for entry in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def as_text(value: AnyValue) -> str:
    """Return a value as text: strings as they are, all else as JSON."""
    if value.WhichOneof("value") == "string_value":
        return value.string_value
    found = plain(value)
    return "" if found is None else json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def texts(attributes: Iterable[Attribute]) -> dict[str, str]:
    """Return attributes as they are named, with their values as text."""
    return {attribute.key: as_text(attribute.value) for attribute in attributes}


def bounded(attributes: Mapping[str, str], dropped: int = 0) -> tuple[tuple[KeyValue, ...], int]:
    """Return the first 32 attributes, and how many there were beyond, `dropped` before included."""
    kept = tuple(
        KeyValue(key=text(key), value=text(value, MAX_VALUE))
        for key, value in list(attributes.items())[:MAX_ATTRIBUTES]
    )
    return kept, dropped + len(attributes) - len(kept)


class Source:
    """A resource: who it is, and who a point of it is that says more by attributes of its own."""

    def __init__(self, names: Names, resource: Resource) -> None:
        self._names = names
        self._telling = names.telling
        self.attributes = texts(resource.attributes)
        self._canonical = {canonical(key): value for key, value in self.attributes.items()}
        self.who = who(names, self._canonical)
        self.identity = digest(self.attributes.items())

    def who_of(self, attributes: Mapping[str, str]) -> Who | None:
        """Return who a point with these attributes is about; None when no application is named."""
        telling = {
            canonical(key): value
            for key, value in attributes.items()
            if canonical(key) in self._telling
        }
        return who(self._names, self._canonical | telling) if telling else self.who


def hexadecimal(value: bytes, size: int) -> str:
    """Return an id as hexadecimal digits; empty when it is none of that size in bytes."""
    return value.hex() if len(value) == size and any(value) else ""


def event_ms(time_ns: int, now_ms: int) -> int:
    """Return an instant in ms since the epoch; now where it is not told."""
    return time_ns // NS_PER_MS if time_ns else now_ms


def short(given: str) -> str:
    """Return a name, at most 256 characters of it."""
    return text(given, MAX_TEXT)
