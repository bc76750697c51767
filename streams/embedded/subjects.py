"""What a schema registry knows and decides, as a pure state machine over the topic `_schemas`.

The records are those of Confluent's registry: keys of type SCHEMA, CONFIG and MODE, tombstones
for what is deleted for good. Decisions return the records to write; `apply` takes them in, at
the start of a process just as afterwards.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas import evolution
from schemas.errors import ContractError
from streams.errors import StreamsError

DEFAULT_COMPATIBILITY = "FULL_TRANSITIVE"
MODES = ("READWRITE", "READONLY", "IMPORT")
LATEST = "latest"
_MAX_VERSION = 2**31 - 1


class RegistryRefused(StreamsError):
    """A request that is refused: HTTP status, Confluent's error code, and the reason."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = code if code < 1000 else code // 100


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a subject."""

    subject: str
    version: int
    id: int
    schema: str
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """One record for the topic; `value` None is a tombstone."""

    key: dict[str, Any]
    value: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Registered:
    """The id of a schema, and the records that make it so (none when it was there)."""

    id: int
    writes: tuple[Write, ...] = ()


class Subjects:
    """All subjects with their versions and settings."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[int, Version]] = {}
        self._compatibility: dict[str, str] = {}
        self._modes: dict[str, str] = {}
        self._highest_id = 0
        self._highest_version: dict[str, int] = {}

    def apply(self, write: Write) -> None:
        """Take in one record of the topic; kinds that are not known here are left alone."""
        key, value = write.key, write.value
        subject = key.get("subject") or ""
        if key.get("keytype") == "SCHEMA":
            self._apply_schema(subject, int(key["version"]), value)
        elif key.get("keytype") == "CONFIG":
            _put(self._compatibility, subject, value, "compatibilityLevel")
        elif key.get("keytype") == "MODE":
            _put(self._modes, subject, value, "mode")

    def _apply_schema(self, subject: str, version: int, value: dict[str, Any] | None) -> None:
        highest = max(version, self._highest_version.get(subject, 0))
        self._highest_version[subject] = highest
        versions = self._versions.setdefault(subject, {})
        if value is None:
            versions.pop(version, None)
            if not versions:
                del self._versions[subject]
                del self._highest_version[subject]
            return
        self._highest_id = max(self._highest_id, int(value["id"]))
        deleted = bool(value.get("deleted", False))
        versions[version] = Version(subject, version, int(value["id"]), value["schema"], deleted)

    def subjects(self, *, deleted: bool = False) -> list[str]:
        """Return the names of subjects that have a version, with `deleted` the soft-deleted too."""
        return sorted(name for name in self._versions if deleted or self._live(name))

    def versions(self, subject: str, *, deleted: bool = False) -> list[Version]:
        """Return the versions of a subject, ascending.

        Raises RegistryRefused (40401) when it has none.
        """
        found = self._all(subject) if deleted else self._live(subject)
        if not found:
            raise RegistryRefused(40401, f"Subject '{subject}' not found.")
        return found

    def version(self, subject: str, version: str, *, deleted: bool = False) -> Version:
        """Return one version by its number or `latest`.

        Raises RegistryRefused (40401, 40402, 42202).
        """
        found = self.versions(subject, deleted=deleted)
        number = _number(version)
        if number is None:
            return found[-1]
        for candidate in found:
            if candidate.version == number:
                return candidate
        raise RegistryRefused(40402, f"Version {version} not found.")

    def with_id(self, schema_id: int) -> list[Version]:
        """Return every version, soft-deleted ones too, that has this schema id.

        Raises RegistryRefused (40403) when there is none.
        """
        found = [v for name in sorted(self._versions) for v in self._all(name) if v.id == schema_id]
        if not found:
            raise RegistryRefused(40403, f"Schema {schema_id} not found")
        return found

    def lookup(self, subject: str, schema: str, *, deleted: bool = False) -> Version:
        """Return the newest version of a subject that has this schema.

        Raises RegistryRefused (40401, 40403, 42201).
        """
        wanted = canonical(schema)
        for candidate in reversed(self.versions(subject, deleted=deleted)):
            if canonical(candidate.schema) == wanted:
                return candidate
        raise RegistryRefused(40403, "Schema not found")

    def register(self, subject: str, schema: str) -> Registered:
        """Decide on a new version; a schema that the subject has already keeps its id.

        Raises RegistryRefused (409 incompatible, 42201 invalid, 42205 read-only).
        """
        self._writable(subject)
        wanted = canonical(schema)
        live = self._live(subject)
        for candidate in live:
            if canonical(candidate.schema) == wanted:
                return Registered(candidate.id)
        problems = self.incompatibilities(subject, schema, live)
        if problems:
            raise RegistryRefused(
                409,
                f'Schema being registered is incompatible with an earlier schema for subject "'
                f'{subject}", details: {problems} (compatibility {self.compatibility(subject)})',
            )
        version = self._highest_version.get(subject, 0) + 1
        made = Version(subject, version, self._id_for(wanted), schema)
        return Registered(made.id, (_schema_write(made),))

    def incompatibilities(
        self, subject: str, schema: str, against: Sequence[Version] | None = None
    ) -> list[str]:
        """Return what is incompatible with the live versions, or with those that are given.

        Raises RegistryRefused (42201).
        """
        earlier = self._live(subject) if against is None else against
        mode = self.compatibility(subject)
        try:
            return evolution.incompatibilities(schema, [v.schema for v in earlier], mode)
        except ContractError as error:
            raise RegistryRefused(42201, str(error)) from error

    def compatibility(self, subject: str = "", *, inherited: bool = True) -> str:
        """Return the compatibility level in force; of all subjects when none is named.

        Raises RegistryRefused (40408) when the subject has none of its own and may not inherit.
        """
        if subject and subject not in self._compatibility and not inherited:
            raise RegistryRefused(
                40408, f"Subject '{subject}' does not have subject-level compatibility configured"
            )
        general = self._compatibility.get("", DEFAULT_COMPATIBILITY)
        return self._compatibility.get(subject, general)

    def set_compatibility(self, subject: str, level: str | None) -> tuple[Write, ...]:
        """Decide on a compatibility level; None takes the subject's own away.

        Raises RegistryRefused (42203, 42205).
        """
        self._writable(subject)
        if level is not None and level not in evolution.MODES:
            known = ", ".join(evolution.MODES)
            raise RegistryRefused(42203, f"Invalid compatibility level {level!r}; one of {known}")
        if self._compatibility.get(subject) == level:
            return ()
        return (_setting("CONFIG", subject, level and {"compatibilityLevel": level}),)

    def mode(self, subject: str = "") -> str:
        """Return whether a subject may be written: READWRITE, READONLY or IMPORT."""
        return self._modes.get(subject, self._modes.get("", MODES[0]))

    def set_mode(self, subject: str, mode: str | None) -> tuple[Write, ...]:
        """Decide on a mode; None takes the subject's own away. Raises RegistryRefused (42204)."""
        if mode is not None and mode not in MODES:
            raise RegistryRefused(42204, f"Invalid mode {mode!r}; one of {', '.join(MODES)}")
        return (_setting("MODE", subject, mode and {"mode": mode}),)

    def delete(self, versions: Sequence[Version], *, permanent: bool) -> tuple[Write, ...]:
        """Decide on deleting versions of one subject: first softly, then for good.

        Raises RegistryRefused (40404, 40406 already deleted, 40405, 40407 not yet, 42205).
        """
        subject = versions[0].subject
        self._writable(subject)
        whole = len(versions) == len(self._all(subject))
        if permanent:
            if any(not v.deleted for v in versions):
                raise RegistryRefused(40405 if whole else 40407, f"'{subject}': delete it first")
            return tuple(Write(_schema_key(v), None) for v in versions)
        if all(v.deleted for v in versions):
            raise RegistryRefused(40404 if whole else 40406, f"'{subject}' was deleted already")
        return tuple(_schema_write(replace(v, deleted=True)) for v in versions if not v.deleted)

    def _all(self, subject: str) -> list[Version]:
        return [version for _, version in sorted(self._versions.get(subject, {}).items())]

    def _live(self, subject: str) -> list[Version]:
        return [version for version in self._all(subject) if not version.deleted]

    def _id_for(self, wanted: str) -> int:
        for versions in self._versions.values():
            for version in versions.values():
                if canonical(version.schema) == wanted:
                    return version.id
        return self._highest_id + 1

    def _writable(self, subject: str) -> None:
        if self.mode(subject) == "READONLY":
            raise RegistryRefused(42205, f"Subject {subject} is in read-only mode")


def canonical(schema: str) -> str:
    """Return a schema's JSON in a form that is equal for equal schemas.

    Raises RegistryRefused (42201) when it is no JSON.
    """
    try:
        return json.dumps(json.loads(schema), sort_keys=True, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError) as error:
        raise RegistryRefused(42201, f"Invalid schema: {error}") from error


def _number(version: str) -> int | None:
    if version in (LATEST, "-1"):
        return None
    if not version.isdecimal() or not 1 <= int(version) <= _MAX_VERSION:
        raise RegistryRefused(42202, f"The specified version '{version}' is not a valid version id")
    return int(version)


def _put(settings: dict[str, str], subject: str, value: dict[str, Any] | None, field: str) -> None:
    if value is None:
        settings.pop(subject, None)
    else:
        settings[subject] = str(value[field])


def _schema_key(version: Version) -> dict[str, Any]:
    identity = {"subject": version.subject, "version": version.version}
    return {"keytype": "SCHEMA", **identity, "magic": 1}


def _schema_write(version: Version) -> Write:
    value = {
        "subject": version.subject,
        "version": version.version,
        "id": version.id,
        "schema": version.schema,
        "deleted": version.deleted,
    }
    return Write(_schema_key(version), value)


def _setting(kind: str, subject: str, value: Any) -> Write:
    return Write({"keytype": kind, "subject": subject or None, "magic": 0}, value or None)
