"""The door to the schema registry: registers contracts, and gives the codec its ids and schemas."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry._sync import schema_registry_client
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas import files, normal, topics
from schemas.base import Event
from schemas.codec import Codec
from schemas.errors import ContractError
from schemas.events import EVENTS
from workers.errors import RegistryUnavailable, SchemaRefused
from workers.settings import RegistrySettings

T = TypeVar("T")
_TransportError: type[Exception] = vars(schema_registry_client)["httpx"].HTTPError
"""Of httpx or of its successor, whichever the client uses."""
COMPATIBILITY = "FULL_TRANSITIVE"
FORGET_UNKNOWN_S = 10.0
MAX_UNKNOWN = 10_000
MAX_DEPTH = 16
"""How far references of references are followed."""
_NOT_FOUND = 404
_REFUSED = (409, 422)


class Registry:
    """A Confluent-compatible schema registry; safe to share between threads."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        try:
            self._client = SchemaRegistryClient(_config(settings))
        except ValueError as error:
            raise self._unavailable(error) from error
        self._schemas: dict[int, str] = {}
        self._unknown: dict[int, float] = {}

    def register_all(self, events: Iterable[type[Event]] | None = None) -> dict[type[Event], int]:
        """Register every published version of the events (all by default), oldest first.

        Returns the id of each newest version. Idempotent. Raises SchemaRefused when a version is
        incompatible with what the registry holds, RegistryUnavailable when it does not answer.
        """
        return {event: self.register(event) for event in events or EVENTS.values()}

    def register(self, event: type[Event]) -> int:
        """Register every published version of one event and return the newest one's id."""
        subject = topics.subject_of(event)
        self._ask(lambda: self._client.set_compatibility(subject, COMPATIBILITY), subject)
        schema_id = 0
        for version in files.versions(event.__name__):
            schema = Schema(files.text(event.__name__, version), "AVRO")
            schema_id = self._ask(partial(self._client.register_schema, subject, schema), subject)
        return schema_id

    def id_of(self, event: type[Event]) -> int | None:
        """Return the id of an event's newest schema, or None when it is not registered.

        Raises RegistryUnavailable.
        """
        subject = topics.subject_of(event)
        schema = Schema(files.text(event.__name__), "AVRO")
        try:
            found = self._ask(lambda: self._client.lookup_schema(subject, schema), subject)
        except KeyError:
            return None
        return found.schema_id

    def history(self, event: type[Event]) -> list[str]:
        """Return the schemas under an event's subject, oldest first; none when there is no subject.

        Raises RegistryUnavailable.
        """
        subject = topics.subject_of(event)
        try:
            numbers = self._ask(lambda: self._client.get_versions(subject), subject)
        except KeyError:
            return []
        found = (
            self._ask(partial(self._client.get_version, subject, number), subject)
            for number in sorted(numbers)
        )
        return [str(version.schema.schema_str) for version in found if version.schema]

    def mode(self) -> str:
        """Return what the registry lets be done, READWRITE as a rule. Raises RegistryUnavailable.

        One that knows no modes lets everything be done.
        """
        try:
            return str(self._ask(self._client.get_global_mode, "mode"))
        except KeyError:
            return "READWRITE"

    def level(self, event: type[Event]) -> str:
        """Return the compatibility that the registry demands of an event's versions.

        Raises RegistryUnavailable.
        """
        subject = topics.subject_of(event)
        try:
            return str(self._ask(lambda: self._client.get_compatibility(subject), subject))
        except KeyError:
            return str(self._ask(self._client.get_compatibility, "config"))

    def schema_of(self, schema_id: int) -> str:
        """Return the JSON of a schema by its id; answers are remembered, for 10 s also misses.

        Raises KeyError when there is no such id, RegistryUnavailable when no answer comes.
        """
        known = self._schemas.get(schema_id)
        if known is None:
            self._refuse_recent_miss(schema_id)
            try:
                known = self._fetch(schema_id)
            except KeyError:
                if len(self._unknown) < MAX_UNKNOWN:
                    self._unknown[schema_id] = time.monotonic() + FORGET_UNKNOWN_S
                raise
            self._schemas[schema_id] = known
        return known

    def _fetch(self, schema_id: int) -> str:
        found = self._ask(lambda: self._client.get_schema(schema_id), f"schema id {schema_id}")
        if found.schema_type not in (None, "AVRO") or found.schema_str is None:
            raise KeyError(schema_id)
        return self._whole(found, f"schema id {schema_id}")

    def _whole(self, schema: Schema, about: str) -> str:
        """Return a schema with what it refers to written out; as it stands when that fails."""
        text = str(schema.schema_str)
        try:
            parts = list(self._parts(schema, about))
            return normal.resolved(text, parts) if parts else text
        except (ContractError, KeyError):
            return text

    def _parts(self, schema: Schema, about: str, depth: int = 0) -> Iterator[str]:
        """Yield the schemas that one refers to, deepest first."""
        for reference in schema.references or ():
            if depth > MAX_DEPTH:
                raise KeyError(about)
            place = (str(reference.subject), int(reference.version or 0))
            ask = partial(self._client.get_version, *place, deleted=True)
            part = self._ask(ask, about).schema
            yield from self._parts(part, about, depth + 1)
            yield str(part.schema_str)

    def _refuse_recent_miss(self, schema_id: int) -> None:
        until = self._unknown.get(schema_id)
        if until is None:
            return
        if time.monotonic() < until:
            raise KeyError(schema_id)
        del self._unknown[schema_id]

    def close(self) -> None:
        """Close the connections to the registry."""
        self._client.close()

    def codec(self) -> Codec:
        """Return a codec whose ids are looked up here when first needed."""
        return Codec(_Ids(self), self.schema_of)

    def _ask(self, call: Callable[[], T], about: str) -> T:
        try:
            return call()
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                raise KeyError(about) from error
            if error.http_status_code in _REFUSED:
                raise SchemaRefused(f"{about}: {error.error_message}") from error
            raise self._unavailable(error) from error
        except (_TransportError, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"schema registry at {self._settings.url}: {error}; "
            "start it (`weir up`) or set WEIR_REGISTRY__URL"
        )


class _Ids(Mapping[type[Event], int]):
    """Ids by event class, asked of the registry once each; absent ones are asked for again."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[type[Event], int] = {}

    def __getitem__(self, event: type[Event]) -> int:
        found = self._known.get(event)
        if found is None:
            found = self._registry.id_of(event)
            if found is None:
                raise KeyError(event)
            self._known[event] = found
        return found

    def __iter__(self) -> Iterator[type[Event]]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _config(settings: RegistrySettings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "url": settings.url,
        "timeout": 10,
        "max.retries": 3,
        "retries.wait.ms": 100,
        "retries.max.wait.ms": 1000,
    }
    if settings.username:
        password = settings.password.get_secret_value()
        config["basic.auth.user.info"] = f"{settings.username}:{password}"
    if settings.ssl_ca:
        config["ssl.ca.location"] = settings.ssl_ca
    elif all(url.strip().startswith("http://") for url in settings.url.split(",")):
        config["ssl.ca.location"] = False  # nothing to verify, and to load authorities takes 25 ms
    return config
