"""A schema registry with Confluent's REST interface, its state in the compacted topic `_schemas`.

Run it as a process: `python -m streams.embedded.registry --port 8081`; where Kafka is comes from
`WEIR_` variables. One process at a time may write: there is no election here. Only Avro is kept,
in the default context alone; associations of topics and subjects are not served.
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

from streams.embedded.asking import Asked, subject_of
from streams.embedded.processes import LOOPBACK
from streams.embedded.schema_log import SchemaLog
from streams.embedded.serving import Request, Response, serve
from streams.embedded.subject_settings import IMPORT
from streams.embedded.subjects import LATEST, Subjects, number_of
from streams.embedded.versions import RegistryRefused, Version, Write
from streams.errors import StreamsError
from streams.settings import load
from workers.errors import WorkerError

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
Arguments = Mapping[str, str]


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
        self._settings = self._subjects.settings
        for write in log.read():
            self._subjects.apply(write)

    def __call__(self, request: Request) -> Response:
        """Return the response to a request."""
        try:
            answer, arguments = _route(request)
            with self._lock:
                return _json(200, answer(self, arguments, Asked(request)))
        except RegistryRefused as refused:
            return _json(refused.status, {"error_code": refused.code, "message": str(refused)})

    def _write(self, writes: Sequence[Write]) -> None:
        if writes:
            self._log.append(writes)
        for write in writes:
            self._subjects.apply(write)

    def subjects(self, _: Arguments, asked: Asked) -> Any:
        """GET /subjects."""
        only = asked.flag("deletedOnly", "deleted_only")
        prefix = subject_of(asked.text("subjectPrefix").removeprefix(":*:"))
        names = self._subjects.subjects(deleted=only or asked.flag("deleted"))
        live = set(self._subjects.subjects()) if only else set()
        return asked.page([n for n in names if n.startswith(prefix) and n not in live])

    def versions(self, given: Arguments, asked: Asked) -> Any:
        """GET /subjects/{subject}/versions."""
        only = asked.flag("deletedOnly", "deleted_only")
        found = self._subjects.versions(given["subject"], deleted=only or asked.flag("deleted"))
        return asked.page([v.version for v in found if v.deleted or not only])

    def version(self, given: Arguments, asked: Asked) -> Any:
        """GET /subjects/{subject}/versions/{version}, and /schema for the schema alone."""
        found = self._subjects.version(
            given["subject"], given["version"], deleted=asked.flag("deleted")
        )
        return json.loads(found.content.schema) if given["only"] else self._told(found, asked)

    def with_metadata(self, given: Arguments, asked: Asked) -> Any:
        """GET /subjects/{subject}/metadata: the newest version with these properties."""
        wanted = [(unquote(k), unquote(v)) for k, v in asked.pairs("key", "value")]
        found = self._subjects.with_metadata(
            given["subject"], wanted, deleted=asked.flag("deleted")
        )
        return self._told(found, asked)

    def register(self, given: Arguments, asked: Asked) -> Any:
        """POST /subjects/{subject}/versions."""
        decided = self._subjects.register(given["subject"], asked.content(), *asked.place())
        self._write(decided.writes)
        told = self._told(decided.version, asked)
        del told["subject"]
        return told

    def lookup(self, given: Arguments, asked: Asked) -> Any:
        """POST /subjects/{subject}."""
        deleted = asked.flag("deleted")
        found = self._subjects.lookup(given["subject"], asked.content(), deleted=deleted)
        return self._told(found, asked)

    def delete_subject(self, given: Arguments, asked: Asked) -> Any:
        """DELETE /subjects/{subject}."""
        permanent = asked.flag("permanent")
        found = self._subjects.versions(given["subject"], deleted=True)
        live = [version for version in found if not version.deleted]
        self._write(self._subjects.delete(found, permanent=permanent))
        return [version.version for version in (found if permanent else live)]

    def delete_version(self, given: Arguments, asked: Asked) -> Any:
        """DELETE /subjects/{subject}/versions/{version}."""
        subject, name = given["subject"], given["version"]
        found = self._subjects.version(subject, name, deleted=name != LATEST)
        self._write(self._subjects.delete([found], permanent=asked.flag("permanent")))
        return found.version

    def referenced_by(self, given: Arguments, asked: Asked) -> Any:
        """GET /subjects/{subject}/versions/{version}/referencedby."""
        found = self._subjects.version(given["subject"], given["version"], deleted=True)
        return asked.page(self._subjects.referenced_by(found))

    def by_id(self, given: Arguments, asked: Asked) -> Any:
        """GET /schemas/ids/{id}, and /schema for the schema alone."""
        found = self._subjects.with_id(int(given["id"]))[0]
        return json.loads(found.content.schema) if given["only"] else self._content(found, asked)

    def by_guid(self, given: Arguments, asked: Asked) -> Any:
        """GET /schemas/guids/{guid}."""
        found = self._subjects.with_guid(given["guid"])
        return {"id": found.id} | self._content(found, asked)

    def uses_of_id(self, given: Arguments, asked: Asked) -> Any:
        """GET /schemas/ids/{id}/subjects and /versions."""
        found, named = self._subjects.with_id(int(given["id"])), asked.text("subject")
        uses = [
            version
            for version in found
            if (asked.flag("deleted") or not version.deleted)
            and (not named or version.subject == subject_of(named))
        ]
        if given["what"] == "subjects":
            return asked.page(sorted({version.subject for version in uses}))
        return asked.page([{"subject": v.subject, "version": v.version} for v in uses])

    def types(self, _: Arguments, __: Asked) -> Any:
        """GET /schemas/types."""
        return ["AVRO"]

    def config(self, given: Arguments, asked: Asked) -> Any:
        """GET /config and /config/{subject}."""
        inherited = asked.flag("defaultToGlobal")
        level = self._settings.compatibility(given["subject"], inherited=inherited)
        return {"compatibilityLevel": level}

    def set_config(self, given: Arguments, asked: Asked) -> Any:
        """PUT /config and /config/{subject}."""
        level = asked.compatibility()
        self._write(self._settings.set_compatibility(given["subject"], level))
        return {"compatibility": level}

    def delete_config(self, given: Arguments, _: Asked) -> Any:
        """DELETE /config and /config/{subject}."""
        level = self._settings.compatibility(given["subject"])
        self._write(self._settings.set_compatibility(given["subject"], None))
        return {"compatibilityLevel": level}

    def compatible(self, given: Arguments, asked: Asked) -> Any:
        """POST /compatibility/subjects/{subject}/versions and /{version}."""
        against = self._against(given["subject"], given["version"])
        try:
            problems = self._subjects.incompatibilities(given["subject"], asked.content(), against)
        except RegistryRefused as refused:
            if refused.code != _INVALID or not asked.flag("verbose"):
                raise
            problems = [str(refused)]
        answer: dict[str, Any] = {"is_compatible": not problems}
        return answer | ({"messages": problems} if asked.flag("verbose") else {})

    def _against(self, subject: str, version: str) -> list[Version] | None:
        """Return the version to judge by: none when the newest of nothing is asked for."""
        if not version:
            return None
        newest = number_of(version) is None
        try:
            return [self._subjects.version(subject, version)]
        except RegistryRefused as refused:
            if newest:
                return []
            raise RegistryRefused(40402, f"Version {version} not found.") from refused

    def mode(self, given: Arguments, asked: Asked) -> Any:
        """GET /mode and /mode/{subject}."""
        inherited = asked.flag("defaultToGlobal")
        return {"mode": self._settings.mode(given["subject"], inherited=inherited)}

    def set_mode(self, given: Arguments, asked: Asked) -> Any:
        """PUT /mode and /mode/{subject}."""
        mode, subject = str(asked.body().get("mode", "")).upper(), given["subject"]
        carefully = mode == IMPORT and not asked.flag("force")
        decide = self._subjects.begin_import if carefully else None
        self._write(decide(subject) if decide else self._settings.set_mode(subject, mode))
        return {"mode": mode}

    def delete_mode(self, given: Arguments, _: Asked) -> Any:
        """DELETE /mode and /mode/{subject}."""
        mode = self._settings.mode(given["subject"])
        self._write(self._settings.set_mode(given["subject"], None))
        return {"mode": mode}

    def contexts(self, _: Arguments, asked: Asked) -> Any:
        """GET /contexts: there is only the default one."""
        return asked.page(["."])

    def root(self, _: Arguments, __: Asked) -> Any:
        """GET /."""
        return {}

    def _told(self, version: Version, asked: Asked) -> dict[str, Any]:
        place = {"subject": version.subject, "version": version.version, "id": version.id}
        return place | self._content(version, asked)

    def _content(self, version: Version, asked: Asked) -> dict[str, Any]:
        told = {"guid": version.guid} | version.content.described()
        if asked.text("format") == "resolved":
            told["schema"] = self._subjects.resolved(version.content)
        return told


_INVALID = 42201
_SUBJECT = r"(?P<subject>[^/]+)"
_VERSION = r"(?P<version>[^/]+)"
_OF_SUBJECT = r"(?:/(?P<subject>[^/]+))?"
_ROUTES: tuple[tuple[str, str, Callable[[Interface, Arguments, Asked], Any]], ...] = (
    ("GET", r"/", Interface.root),
    ("GET", r"/subjects", Interface.subjects),
    ("POST", rf"/subjects/{_SUBJECT}", Interface.lookup),
    ("DELETE", rf"/subjects/{_SUBJECT}", Interface.delete_subject),
    ("GET", rf"/subjects/{_SUBJECT}/versions", Interface.versions),
    ("POST", rf"/subjects/{_SUBJECT}/versions", Interface.register),
    ("GET", rf"/subjects/{_SUBJECT}/versions/{_VERSION}(?P<only>/schema)?", Interface.version),
    ("DELETE", rf"/subjects/{_SUBJECT}/versions/{_VERSION}", Interface.delete_version),
    ("GET", rf"/subjects/{_SUBJECT}/versions/{_VERSION}/referencedby", Interface.referenced_by),
    ("GET", rf"/subjects/{_SUBJECT}/metadata", Interface.with_metadata),
    ("GET", r"/schemas/types", Interface.types),
    ("GET", r"/schemas/guids/(?P<guid>[^/]+)", Interface.by_guid),
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
    ("DELETE", rf"/mode{_OF_SUBJECT}", Interface.delete_mode),
    ("GET", r"/contexts", Interface.contexts),
)


def _route(request: Request) -> tuple[Callable[[Interface, Arguments, Asked], Any], Arguments]:
    path = request.path.rstrip("/") or "/"
    allowed = False
    for method, pattern, answer in _ROUTES:
        found = re.fullmatch(pattern, path)
        if found and method == request.method:
            groups = found.groupdict(default="")
            given = {name: unquote(text) for name, text in groups.items()}
            return answer, given | {"subject": subject_of(given.get("subject", ""))}
        allowed = allowed or found is not None
    raise RegistryRefused(405 if allowed else 404, f"HTTP {request.method} {path} is not served")


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
