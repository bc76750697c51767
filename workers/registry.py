"""The door to the schema registry: registers contracts, and gives the codec its ids and schemas."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from schemas import files, normal, topics
from schemas.base import Event
from schemas.codec import Codec
from schemas.errors import ContractError
from schemas.events import EVENTS
from workers.errors import RegistryUnavailable, SchemaRefused
from workers.registry_reading import NO_ANSWER, Reader, Refusal, Text
from workers.settings import RegistrySettings

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

T = TypeVar("T")
COMPATIBILITY = "FULL_TRANSITIVE"
FORGET_UNKNOWN_S = 10.0
MAX_UNKNOWN = 10_000
MAX_DEPTH = 16
"""How far references of references are followed."""
_NOT_FOUND = 404
_REFUSED = (409, 422)


class Registry:
    """A Confluent-compatible schema registry; safe to share between threads.

    What processes ask while they run is asked in plain HTTP; confluent-kafka's client is loaded
    for the rest.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        try:
            self._reader = Reader(settings)
        except (ValueError, OSError) as error:
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
        self._by_client(lambda client: client.set_compatibility(subject, COMPATIBILITY), subject)
        schema_id = 0
        for version in files.versions(event.__name__):
            schema_id = self._registered(subject, files.text(event.__name__, version))
        return schema_id

    def _registered(self, subject: str, text: str) -> int:
        schema = _library().Schema(text, "AVRO")
        return self._by_client(lambda client: client.register_schema(subject, schema), subject)

    def id_of(self, event: type[Event]) -> int | None:
        """Return the id of an event's newest schema, or None when it is not registered.

        Raises RegistryUnavailable.
        """
        subject = topics.subject_of(event)
        schema = files.text(event.__name__)
        try:
            return self._ask(lambda: self._reader.id_of(subject, schema), subject)
        except KeyError:
            return None

    def history(self, event: type[Event]) -> list[str]:
        """Return the schemas under an event's subject, oldest first; none when there is no subject.

        Raises RegistryUnavailable.
        """
        subject = topics.subject_of(event)
        try:
            numbers = self._by_client(lambda client: client.get_versions(subject), subject)
        except KeyError:
            return []
        found = (
            self._by_client(partial(_version, subject=subject, number=number), subject)
            for number in sorted(numbers)
        )
        return [text for text in found if text]

    def mode(self) -> str:
        """Return what the registry lets be done, READWRITE as a rule. Raises RegistryUnavailable.

        One that knows no modes lets everything be done.
        """
        try:
            return str(self._by_client(lambda client: client.get_global_mode(), "mode"))
        except KeyError:
            return "READWRITE"

    def level(self, event: type[Event]) -> str:
        """Return the compatibility that the registry demands of an event's versions.

        Raises RegistryUnavailable.
        """
        subject = topics.subject_of(event)
        try:
            return str(self._by_client(lambda client: client.get_compatibility(subject), subject))
        except KeyError:
            return str(self._by_client(lambda client: client.get_compatibility(), "config"))

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
        found = self._ask(lambda: self._reader.schema(schema_id), f"schema id {schema_id}")
        if found.kind != "AVRO":
            raise KeyError(schema_id)
        return self._whole(found, f"schema id {schema_id}")

    def _whole(self, text: Text, about: str) -> str:
        """Return a schema with what it refers to written out; as it stands when that fails."""
        try:
            parts = list(self._parts(text, about))
            return normal.resolved(text.schema, parts) if parts else text.schema
        except (ContractError, KeyError):
            return text.schema

    def _parts(self, text: Text, about: str, depth: int = 0) -> Iterator[str]:
        """Yield the schemas that one refers to, deepest first."""
        for place in text.references:
            if depth > MAX_DEPTH:
                raise KeyError(about)
            part = self._ask(partial(self._reader.version, *place), about)
            yield from self._parts(part, about, depth + 1)
            yield part.schema

    def _refuse_recent_miss(self, schema_id: int) -> None:
        until = self._unknown.get(schema_id)
        if until is None:
            return
        if time.monotonic() < until:
            raise KeyError(schema_id)
        del self._unknown[schema_id]

    def close(self) -> None:
        """Close the connections to the registry."""
        if "_client" in vars(self):
            self._client.close()

    def codec(self) -> Codec:
        """Return a codec whose ids are looked up here when first needed."""
        return Codec(_Ids(self), self.schema_of)

    @cached_property
    def _client(self) -> "SchemaRegistryClient":
        try:
            client: SchemaRegistryClient = _library().SchemaRegistryClient(_config(self._settings))
        except ValueError as error:
            raise self._unavailable(error) from error
        return client

    def _by_client(self, call: Callable[["SchemaRegistryClient"], T], about: str) -> T:
        """Ask by confluent-kafka's own client."""

        def ask() -> T:
            try:
                return call(self._client)
            except _library().error.SchemaRegistryError as error:
                raise Refusal(error.http_status_code, error.error_message) from error
            except _transport_error() as error:
                raise OSError(str(error)) from error

        return self._ask(ask, about)

    def _ask(self, call: Callable[[], T], about: str) -> T:
        try:
            return call()
        except Refusal as error:
            if error.status == _NOT_FOUND:
                raise KeyError(about) from error
            if error.status in _REFUSED:
                raise SchemaRefused(f"{about}: {error.words}") from error
            raise self._unavailable(error) from error
        except NO_ANSWER as error:
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


@cache
def _library() -> Any:
    """Return confluent-kafka's client of registries; to load it takes a third of a second."""
    return import_module("confluent_kafka.schema_registry")


@cache
def _transport_error() -> type[Exception]:
    """Return the error of httpx or of its successor, whichever the client uses."""
    module = import_module("confluent_kafka.schema_registry._sync.schema_registry_client")
    found: type[Exception] = vars(module)["httpx"].HTTPError
    return found


def _version(client: "SchemaRegistryClient", subject: str, number: int) -> str:
    found = client.get_version(subject, number).schema
    return str(found.schema_str) if found else ""


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
