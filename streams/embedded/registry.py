"""A schema registry with Confluent's REST interface, its state in the compacted topic `_schemas`.

Run it as a process: `python -m streams.embedded.registry --port 8081`; where Kafka is comes from
`WEIR_` variables. One process at a time may write: there is no election here.
"""

import argparse
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import unquote

from streams.embedded.processes import LOOPBACK
from streams.embedded.schema_log import SchemaLog
from streams.embedded.serving import Request, Response, serve
from streams.embedded.subjects import LATEST, RegistryRefused, Subjects, Version, Write
from streams.errors import StreamsError
from streams.settings import load
from workers.errors import WorkerError

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
MAX_SCHEMA = 900_000


class Log(Protocol):
    """Where the records stand."""

    def read(self) -> Iterable[Write]:
        """Return all records, oldest first."""
        ...

    def append(self, writes: Sequence[Write]) -> None:
        """Return when the records are safe; raise RegistryRefused (50001) when they are not."""
        ...


class Interface:
    """Answers requests as Confluent's registry does; one request at a time."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._subjects = Subjects()
        for write in log.read():
            self._subjects.apply(write)

    def __call__(self, request: Request) -> Response:
        """Return the response to a request."""
        try:
            answer, arguments = _route(request)
            with self._lock:
                return _json(200, answer(self, arguments, _Asked(request)))
        except RegistryRefused as refused:
            return _json(refused.status, {"error_code": refused.code, "message": str(refused)})

    def _write(self, writes: Sequence[Write]) -> None:
        if writes:
            self._log.append(writes)
        for write in writes:
            self._subjects.apply(write)

    def subjects(self, _: "Arguments", asked: "_Asked") -> Any:
        """GET /subjects."""
        prefix = asked.text("subjectPrefix")
        names = self._subjects.subjects(deleted=asked.flag("deleted"))
        return [name for name in names if name.startswith(prefix)]

    def versions(self, given: "Arguments", asked: "_Asked") -> Any:
        """GET /subjects/{subject}/versions."""
        found = self._subjects.versions(given["subject"], deleted=asked.flag("deleted"))
        return [version.version for version in found]

    def version(self, given: "Arguments", asked: "_Asked") -> Any:
        """GET /subjects/{subject}/versions/{version}, and /schema for the schema alone."""
        found = self._subjects.version(
            given["subject"], given["version"], deleted=asked.flag("deleted")
        )
        return json.loads(found.schema) if given["only"] else _described(found)

    def register(self, given: "Arguments", asked: "_Asked") -> Any:
        """POST /subjects/{subject}/versions."""
        decided = self._subjects.register(given["subject"], asked.schema())
        self._write(decided.writes)
        return {"id": decided.id}

    def lookup(self, given: "Arguments", asked: "_Asked") -> Any:
        """POST /subjects/{subject}."""
        deleted = asked.flag("deleted")
        return _described(self._subjects.lookup(given["subject"], asked.schema(), deleted=deleted))

    def delete_subject(self, given: "Arguments", asked: "_Asked") -> Any:
        """DELETE /subjects/{subject}."""
        permanent = asked.flag("permanent")
        found = self._subjects.versions(given["subject"], deleted=True)
        live = [version for version in found if not version.deleted]
        self._write(self._subjects.delete(found, permanent=permanent))
        return [version.version for version in (found if permanent else live)]

    def delete_version(self, given: "Arguments", asked: "_Asked") -> Any:
        """DELETE /subjects/{subject}/versions/{version}."""
        subject, name = given["subject"], given["version"]
        found = self._subjects.version(subject, name, deleted=name != LATEST)
        self._write(self._subjects.delete([found], permanent=asked.flag("permanent")))
        return found.version

    def referenced_by(self, given: "Arguments", _: "_Asked") -> Any:
        """GET /subjects/{subject}/versions/{version}/referencedby; references are refused."""
        self._subjects.version(given["subject"], given["version"])
        return []

    def by_id(self, given: "Arguments", _: "_Asked") -> Any:
        """GET /schemas/ids/{id}, and /schema for the schema alone."""
        found = self._subjects.with_id(int(given["id"]))[0]
        return json.loads(found.schema) if given["only"] else {"schema": found.schema}

    def uses_of_id(self, given: "Arguments", asked: "_Asked") -> Any:
        """GET /schemas/ids/{id}/subjects and /versions."""
        found = self._subjects.with_id(int(given["id"]))
        uses = [version for version in found if asked.flag("deleted") or not version.deleted]
        if given["what"] == "subjects":
            return sorted({version.subject for version in uses})
        return [{"subject": version.subject, "version": version.version} for version in uses]

    def types(self, _: "Arguments", __: "_Asked") -> Any:
        """GET /schemas/types."""
        return ["AVRO"]

    def config(self, given: "Arguments", asked: "_Asked") -> Any:
        """GET /config and /config/{subject}."""
        inherited = asked.flag("defaultToGlobal")
        level = self._subjects.compatibility(given["subject"], inherited=inherited)
        return {"compatibilityLevel": level}

    def set_config(self, given: "Arguments", asked: "_Asked") -> Any:
        """PUT /config and /config/{subject}."""
        level = str(asked.body().get("compatibility", "")).upper()
        self._write(self._subjects.set_compatibility(given["subject"], level))
        return {"compatibility": level}

    def delete_config(self, given: "Arguments", _: "_Asked") -> Any:
        """DELETE /config and /config/{subject}."""
        level = self._subjects.compatibility(given["subject"], inherited=not given["subject"])
        self._write(self._subjects.set_compatibility(given["subject"], None))
        return {"compatibilityLevel": level}

    def compatible(self, given: "Arguments", asked: "_Asked") -> Any:
        """POST /compatibility/subjects/{subject}/versions and /{version}."""
        subject, version = given["subject"], given["version"]
        against = [self._subjects.version(subject, version)] if version else None
        problems = self._subjects.incompatibilities(subject, asked.schema(), against)
        answer: dict[str, Any] = {"is_compatible": not problems}
        return answer | ({"messages": problems} if asked.flag("verbose") else {})

    def mode(self, given: "Arguments", _: "_Asked") -> Any:
        """GET /mode and /mode/{subject}."""
        return {"mode": self._subjects.mode(given["subject"])}

    def set_mode(self, given: "Arguments", asked: "_Asked") -> Any:
        """PUT /mode and /mode/{subject}."""
        mode = str(asked.body().get("mode", "")).upper()
        self._write(self._subjects.set_mode(given["subject"], mode))
        return {"mode": mode}

    def delete_mode(self, given: "Arguments", _: "_Asked") -> Any:
        """DELETE /mode/{subject}."""
        mode = self._subjects.mode(given["subject"])
        self._write(self._subjects.set_mode(given["subject"], None))
        return {"mode": mode}

    def contexts(self, _: "Arguments", __: "_Asked") -> Any:
        """GET /contexts: there is only the default one."""
        return ["."]

    def root(self, _: "Arguments", __: "_Asked") -> Any:
        """GET /."""
        return {}


Arguments = Mapping[str, str]
_SUBJECT = r"(?P<subject>[^/]+)"
_VERSION = r"(?P<version>[^/]+)"
_OF_SUBJECT = r"(?:/(?P<subject>[^/]+))?"
_ROUTES: tuple[tuple[str, str, Callable[[Interface, Arguments, "_Asked"], Any]], ...] = (
    ("GET", r"/", Interface.root),
    ("GET", r"/subjects", Interface.subjects),
    ("POST", rf"/subjects/{_SUBJECT}", Interface.lookup),
    ("DELETE", rf"/subjects/{_SUBJECT}", Interface.delete_subject),
    ("GET", rf"/subjects/{_SUBJECT}/versions", Interface.versions),
    ("POST", rf"/subjects/{_SUBJECT}/versions", Interface.register),
    ("GET", rf"/subjects/{_SUBJECT}/versions/{_VERSION}(?P<only>/schema)?", Interface.version),
    ("DELETE", rf"/subjects/{_SUBJECT}/versions/{_VERSION}", Interface.delete_version),
    ("GET", rf"/subjects/{_SUBJECT}/versions/{_VERSION}/referencedby", Interface.referenced_by),
    ("GET", r"/schemas/types", Interface.types),
    ("GET", r"/schemas/ids/(?P<id>\d{1,10})(?P<only>/schema)?", Interface.by_id),
    ("GET", r"/schemas/ids/(?P<id>\d{1,10})/(?P<what>subjects|versions)", Interface.uses_of_id),
    ("GET", rf"/config{_OF_SUBJECT}", Interface.config),
    ("PUT", rf"/config{_OF_SUBJECT}", Interface.set_config),
    ("DELETE", rf"/config{_OF_SUBJECT}", Interface.delete_config),
    (
        "POST",
        rf"/compatibility/subjects/{_SUBJECT}/versions(?:/(?P<version>[^/]+))?",
        Interface.compatible,
    ),
    ("GET", rf"/mode{_OF_SUBJECT}", Interface.mode),
    ("PUT", rf"/mode{_OF_SUBJECT}", Interface.set_mode),
    ("DELETE", rf"/mode/{_SUBJECT}", Interface.delete_mode),
    ("GET", r"/contexts", Interface.contexts),
)


class _Asked:
    """Query and body of a request."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def text(self, name: str) -> str:
        return self._request.query.get(name, "")

    def flag(self, name: str) -> bool:
        return self.text(name).lower() == "true"

    def body(self) -> dict[str, Any]:
        try:
            parsed = json.loads(self._request.body)
        except (ValueError, RecursionError) as error:
            raise RegistryRefused(422, f"the body is no JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise RegistryRefused(422, "the body is no JSON object")
        return parsed

    def schema(self) -> str:
        body = self.body()
        kind = body.get("schemaType") or "AVRO"
        if kind != "AVRO" or body.get("references"):
            raise RegistryRefused(42201, f"only Avro without references is kept here, not {kind}")
        schema = body.get("schema")
        if not isinstance(schema, str) or len(schema) > MAX_SCHEMA:
            raise RegistryRefused(
                42201, f"'schema' must be text of at most {MAX_SCHEMA} characters"
            )
        return schema


def _route(request: Request) -> tuple[Callable[[Interface, Arguments, _Asked], Any], Arguments]:
    path = request.path.rstrip("/") or "/"
    allowed = False
    for method, pattern, answer in _ROUTES:
        found = re.fullmatch(pattern, path)
        if found and method == request.method:
            groups = found.groupdict(default="")
            return answer, {name: unquote(text) for name, text in groups.items()}
        allowed = allowed or found is not None
    raise RegistryRefused(405 if allowed else 404, f"HTTP {request.method} {path} is not served")


def _described(version: Version) -> dict[str, Any]:
    return {
        "subject": version.subject,
        "version": version.version,
        "id": version.id,
        "schema": version.schema,
    }


def _json(status: int, content: Any) -> Response:
    return Response(status, json.dumps(content).encode(), CONTENT_TYPE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m streams.embedded.registry")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default=LOOPBACK)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    try:
        serve(Interface(SchemaLog(load().kafka)), options.port, options.host)
    except (StreamsError, WorkerError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
