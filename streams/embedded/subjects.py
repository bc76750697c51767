"""What a schema registry knows and decides, as a pure state machine over the topic `_schemas`.

The records are those of Confluent's registry: keys of type SCHEMA, DELETE_SUBJECT, CONFIG and
MODE, tombstones for what is deleted for good. Decisions return the records to write; `apply`
takes them in, at the start of a process just as afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas import evolution, normal
from schemas.errors import ContractError
from streams.embedded import versions as forms
from streams.embedded.subject_settings import IMPORT, SubjectSettings
from streams.embedded.versions import AVRO, Content, Reference, RegistryRefused, Version, Write

LATEST = "latest"
_MAX_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Registered:
    """A version that is registered, and the records that make it so (none when it was there)."""

    version: Version
    writes: tuple[Write, ...] = ()


class Subjects:
    """All subjects with their versions and settings."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[int, Version]] = {}
        self.settings = SubjectSettings()
        self._highest_id = 0

    def apply(self, write: Write) -> None:
        """Take in one record of the topic; kinds that are not known here are left alone."""
        key, value = write.key, write.value
        subject = key.get("subject") or ""
        if key.get("keytype") == "SCHEMA":
            self._apply_schema(subject, int(key["version"]), value)
        elif key.get("keytype") == "DELETE_SUBJECT" and value is not None:
            for version in self._live(subject):
                if version.version <= int(value["version"]):
                    self._versions[subject][version.version] = replace(version, deleted=True)
        else:
            self.settings.apply(key.get("keytype") or "", subject, value)

    def _apply_schema(self, subject: str, version: int, value: dict[str, Any] | None) -> None:
        versions = self._versions.setdefault(subject, {})
        if value is None:
            versions.pop(version, None)
        else:
            versions[version] = made = forms.version_of(subject, version, value)
            self._highest_id = max(self._highest_id, made.id)
        if not versions:
            del self._versions[subject]

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
        number = number_of(version)
        found = self.versions(subject, deleted=deleted)
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
        found = [version for version in self._everything() if version.id == schema_id]
        if not found:
            raise RegistryRefused(40403, f"Schema {schema_id} not found")
        return found

    def with_guid(self, guid: str) -> Version:
        """Return a version by the name of its content. Raises RegistryRefused (40403)."""
        for version in self._everything():
            if version.guid == guid.lower():
                return version
        raise RegistryRefused(40403, f"Schema {guid} not found")

    def with_metadata(
        self, subject: str, wanted: Sequence[tuple[str, str]], *, deleted: bool = False
    ) -> Version:
        """Return the newest version whose metadata have these properties.

        Raises RegistryRefused (40401, 40403).
        """
        for version in reversed(self.versions(subject, deleted=deleted)):
            given = (version.content.metadata or {}).get("properties") or {}
            if all(given.get(name) == value for name, value in wanted):
                return version
        raise RegistryRefused(40403, "Schema not found")

    def lookup(self, subject: str, content: Content, *, deleted: bool = False) -> Version:
        """Return the newest version of a subject that has this schema.

        Metadata and rules decide only when some are given. Raises RegistryRefused (40401, 40403,
        42201).
        """
        found = self.versions(subject, deleted=deleted)
        self.resolved(content)
        plain = content.metadata is None and content.rule_set is None
        for candidate in reversed(found):
            given = candidate.content
            if given.bare == content.bare if plain else given.identity == content.identity:
                return candidate
        raise RegistryRefused(40403, "Schema not found")

    def register(
        self, subject: str, given: Content, schema_id: int = 0, version: int = 0
    ) -> Registered:
        """Decide on a new version; what the subject has already keeps its id.

        `schema_id` and `version`, where not 0, are those of another registry, in mode IMPORT.
        Raises RegistryRefused (409 incompatible, 42201 invalid, 42205 not in this mode).
        """
        self.settings.check_registering(subject, imported=bool(schema_id or version))
        live = self._live(subject)
        content = given if self.settings.mode(subject) == IMPORT else _inherit(given, live)
        for candidate in reversed(live):
            same = schema_id in (0, candidate.id) and version in (0, candidate.version)
            if same and candidate.content.identity == content.identity:
                return Registered(candidate)
        self._judge(subject, content, live)
        number = version or max((v.version for v in self._all(subject)), default=0) + 1
        made = Version(subject, number, self._id_for(content, schema_id), content)
        self._refuse_overwriting(made)
        return Registered(made, (forms.schema_write(made),))

    def _judge(self, subject: str, content: Content, live: Sequence[Version]) -> None:
        if self.settings.mode(subject) == IMPORT:
            self.resolved(content)
            return
        problems = self.incompatibilities(subject, content, live)
        if problems:
            level = self.settings.compatibility(subject)
            raise RegistryRefused(
                409,
                f'Schema being registered is incompatible with an earlier schema for subject "'
                f'{subject}", details: {problems} (compatibility {level})',
            )

    def _refuse_overwriting(self, made: Version) -> None:
        for held in self._everything():
            other = held.content.identity != made.content.identity
            place = (held.subject, held.version) == (made.subject, made.version)
            if other and (place or held.id == made.id):
                what = f"version {made.version}" if place else f"id {made.id}"
                raise RegistryRefused(42205, f"Overwrite new schema with {what} is not permitted.")

    def incompatibilities(
        self, subject: str, content: Content, against: Sequence[Version] | None = None
    ) -> list[str]:
        """Return what is incompatible with the live versions, or with those that are given.

        Raises RegistryRefused (42201).
        """
        earlier = self._live(subject) if against is None else against
        mode = self.settings.compatibility(subject)
        candidate = self.resolved(content)
        try:
            texts = [self._written_out(version.content) for version in earlier]
            return evolution.incompatibilities(candidate, texts, mode)
        except ContractError as error:
            raise RegistryRefused(42201, str(error)) from error

    def resolved(self, content: Content) -> str:
        """Return a schema with its references written out.

        Raises RegistryRefused (42201) when it is no Avro schema or a reference leads nowhere.
        """
        if content.kind != AVRO:
            raise RegistryRefused(42201, f"only Avro schemas are judged here, not {content.kind}")
        try:
            plain = self._written_out(content)
            evolution.check_schema(plain)
        except ContractError as error:
            raise RegistryRefused(42201, f"Invalid schema: {error}") from error
        return plain

    def _written_out(self, content: Content) -> str:
        if not content.references:
            return content.schema
        return normal.resolved(content.schema, list(self._needed(content, ())))

    def _needed(self, content: Content, path: tuple[Reference, ...]) -> Iterator[str]:
        """Yield the texts that a schema's references lead to, deepest first."""
        for reference in content.references:
            if reference in path:
                raise RegistryRefused(42201, f"'{reference.name}' refers to itself")
            held = self._versions.get(reference.subject, {}).get(reference.version)
            if held is None:
                raise RegistryRefused(
                    42201,
                    f"No schema reference found for subject '{reference.subject}' and version "
                    f"{reference.version}",
                )
            yield from self._needed(held.content, (*path, reference))
            yield held.content.schema

    def referenced_by(self, held: Version) -> list[int]:
        """Return the ids of live schemas that refer to a version."""
        place = (held.subject, held.version)
        return sorted(
            {
                version.id
                for version in self._everything()
                if not version.deleted
                and place in {(r.subject, r.version) for r in version.content.references}
            }
        )

    def begin_import(self, subject: str) -> tuple[Write, ...]:
        """Decide on the mode IMPORT. Raises RegistryRefused (42205) where schemas might clash."""
        occupied = self._live(subject) if subject else self.subjects()
        if occupied and self.settings.mode(subject) != IMPORT:
            raise RegistryRefused(42205, "Cannot import since found existing subjects")
        return self.settings.set_mode(subject, IMPORT)

    def delete(self, versions: Sequence[Version], *, permanent: bool) -> tuple[Write, ...]:
        """Decide on deleting versions of one subject: first softly, then for good.

        The subject's own settings go with its last live version. Raises RegistryRefused (40404,
        40406 already deleted, 40405, 40407 not yet, 42205, 42206 still referred to).
        """
        subject = versions[0].subject
        self.settings.check_writable(subject)
        whole = len(versions) == len(self._all(subject))
        self._refuse_referenced(versions)
        if permanent:
            if any(not v.deleted for v in versions):
                raise RegistryRefused(40405 if whole else 40407, f"'{subject}': delete it first")
            return tuple(Write(forms.schema_key(v), None) for v in versions)
        if all(v.deleted for v in versions):
            raise RegistryRefused(40404 if whole else 40406, f"'{subject}' was deleted already")
        gone = tuple(
            forms.schema_write(replace(v, deleted=True)) for v in versions if not v.deleted
        )
        return gone + (self.settings.taken_away(subject) if whole else ())

    def _refuse_referenced(self, versions: Sequence[Version]) -> None:
        for version in versions:
            if self.referenced_by(version):
                raise RegistryRefused(
                    42206,
                    "One or more references exist to the schema "
                    f"{{subject={version.subject},version={version.version}}}",
                )

    def _everything(self) -> list[Version]:
        return [version for name in sorted(self._versions) for version in self._all(name)]

    def _all(self, subject: str) -> list[Version]:
        return [version for _, version in sorted(self._versions.get(subject, {}).items())]

    def _live(self, subject: str) -> list[Version]:
        return [version for version in self._all(subject) if not version.deleted]

    def _id_for(self, content: Content, schema_id: int) -> int:
        held = (v.id for v in self._everything() if v.content.identity == content.identity)
        return schema_id or next(held, self._highest_id + 1)


def _inherit(content: Content, live: Sequence[Version]) -> Content:
    """Return the content with what it leaves out taken from the newest version."""
    if not live:
        return content
    last = live[-1].content
    if not content.schema.strip():
        content = replace(content, schema=last.schema, references=last.references)
    if content.metadata is None and last.metadata is not None:
        content = replace(content, metadata=last.metadata)
    if content.rule_set is None and last.rule_set is not None:
        content = replace(content, rule_set=last.rule_set)
    return content


def number_of(version: str) -> int | None:
    """Return the number of a version, None for the newest. Raises RegistryRefused (42202)."""
    if version in (LATEST, "-1"):
        return None
    if not version.isdecimal() or not 1 <= int(version) <= _MAX_VERSION:
        raise RegistryRefused(42202, f"The specified version '{version}' is not a valid version id")
    return int(version)
