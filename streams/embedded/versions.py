"""What stands in the topic `_schemas`: contents, versions, records, in Confluent's form."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from schemas import normal
from schemas.errors import ContractError
from schemas.identity import stable_id
from streams.errors import StreamsError

AVRO = "AVRO"
_CONTENT = ("references", "metadata", "ruleSet")


class RegistryRefused(StreamsError):
    """A request that is refused: HTTP status, Confluent's error code, and the reason."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = code if code < 1000 else code // 100


@dataclass(frozen=True, slots=True)
class Reference:
    """A schema that another one uses, by the name of the type, and where it is registered."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class Content:
    """A schema with all that decides whether two are the same.

    `bare` identifies text, kind and references, `identity` metadata and rules as well; both are
    32 hexadecimal digits, equal for texts that differ in layout or in how names are written.
    """

    schema: str
    references: tuple[Reference, ...] = ()
    metadata: Any = None
    rule_set: Any = None
    kind: str = AVRO
    bare: str = field(init=False, default="", compare=False)
    identity: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        parts = (f"{r.name}\n{r.subject}\n{r.version}" for r in self.references)
        bare = stable_id(self.kind, _normal(self.schema, self.kind), *parts)
        whole = (json.dumps(self.metadata, sort_keys=True), _rules(self.rule_set))
        plain = self.metadata is None and self.rule_set is None
        object.__setattr__(self, "bare", bare)
        object.__setattr__(self, "identity", bare if plain else stable_id(bare, *whole))

    def described(self) -> dict[str, Any]:
        """Return the fields by which Confluent's interface names these things."""
        told: dict[str, Any] = {"schemaType": self.kind, "schema": self.schema}
        given = ([vars_of(r) for r in self.references], self.metadata, self.rule_set)
        return told | {name: value for name, value in zip(_CONTENT, given, strict=True) if value}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a subject."""

    subject: str
    version: int
    id: int
    content: Content
    deleted: bool = False

    @property
    def guid(self) -> str:
        """The name of the content, in any registry of this kind."""
        return str(UUID(hex=self.content.identity))


@dataclass(frozen=True, slots=True)
class Write:
    """One record for the topic; `value` None is a tombstone."""

    key: dict[str, Any]
    value: dict[str, Any] | None


def content_of(value: dict[str, Any]) -> Content:
    """Return the content that a record or a request describes.

    Raises RegistryRefused (42201) when its references are none.
    """
    return Content(
        str(value.get("schema") or ""),
        references_of(value.get("references") or ()),
        value.get("metadata"),
        value.get("ruleSet"),
        str(value.get("schemaType") or AVRO),
    )


def references_of(given: Any) -> tuple[Reference, ...]:
    """Return references as they stand in JSON. Raises RegistryRefused (42201)."""
    try:
        return tuple(Reference(str(r["name"]), str(r["subject"]), int(r["version"])) for r in given)
    except (TypeError, LookupError, ValueError) as error:
        raise RegistryRefused(
            42201, f"a reference needs name, subject and version: {error}"
        ) from error


def version_of(subject: str, version: int, value: dict[str, Any]) -> Version:
    """Return the version that a record of the topic describes."""
    deleted = bool(value.get("deleted", False))
    return Version(subject, version, int(value["id"]), content_of(value), deleted)


def schema_key(version: Version) -> dict[str, Any]:
    """Return the key of a version's record."""
    identity = {"subject": version.subject, "version": version.version}
    return {"keytype": "SCHEMA", **identity, "magic": 1}


def schema_write(version: Version) -> Write:
    """Return the record of a version."""
    where = {"subject": version.subject, "version": version.version, "id": version.id}
    content = version.content.described()
    if version.content.kind == AVRO:
        del content["schemaType"]  # as Confluent's registry writes it
    return Write(schema_key(version), where | content | {"deleted": version.deleted})


def setting(kind: str, subject: str, name: str, value: str | None) -> Write:
    """Return the record of a subject's setting, or of all subjects'; None takes it away."""
    key = {"keytype": kind, "subject": subject or None, "magic": 0}
    return Write(key, None if value is None else {name: value})


def vars_of(reference: Reference) -> dict[str, Any]:
    """Return a reference as it stands in JSON."""
    return {"name": reference.name, "subject": reference.subject, "version": reference.version}


def page(items: Sequence[Any], offset: int, limit: int) -> list[Any]:
    """Return at most `limit` items from `offset` on; all of them when the limit is negative."""
    return list(items[offset:] if limit < 0 else items[offset : offset + limit])


def _normal(schema: str, kind: str) -> str:
    try:
        return normal.canonical(schema) if kind == AVRO else schema
    except ContractError:
        return schema  # refused where it is registered; on the topic it may be of another maker


def _rules(rule_set: Any) -> str:
    return json.dumps(rule_set, sort_keys=True)
