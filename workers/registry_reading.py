"""What a running process asks of a schema registry, in plain HTTP: schemas by id, ids by schema.

confluent-kafka's own client brings OAuth, JOSE and an HTTP stack with it, which take longer to load
than all else of a host. So it is left to those who register.
"""

import base64
import json
import ssl
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

from workers.settings import RegistrySettings

TIMEOUT_S = 10.0
PAUSES_S = (0.1, 0.2, 0.4)
"""Between attempts at a registry that answers, but cannot just now."""
_NOT_NOW = (408, 429, 500, 502, 503, 504)
_FORM = "application/vnd.schemaregistry.v1+json"
NO_ANSWER = (OSError, HTTPException, ValueError)
"""What a Reader raises when nothing comes, or nothing that is an answer of a registry."""


class Refusal(Exception):
    """The registry answered, with a status that is no success."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{words} (HTTP status code {status})")
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True)
class Text:
    """A schema as the registry gives it; `references` are subjects and versions."""

    schema: str
    kind: str
    references: tuple[tuple[str, int], ...]


class Reader:
    """Asks a registry; safe to share between threads.

    Every method raises Refusal, and one of NO_ANSWER. The second of several addresses is asked
    when the first does not answer.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        """Raise ValueError where an address is none."""
        self._urls = [url.strip().rstrip("/") for url in settings.url.split(",") if url.strip()]
        for url in self._urls:
            if urlsplit(url).scheme not in ("http", "https"):
                raise ValueError(f"{url!r} is no address of a schema registry")
        if not self._urls:
            raise ValueError("no address of a schema registry")
        self._headers = {"Accept": f"{_FORM}, application/json", "Content-Type": _FORM}
        if settings.username:
            who = f"{settings.username}:{settings.password.get_secret_value()}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(who.encode()).decode()
        if any(url.startswith("https:") for url in self._urls):
            context = ssl.create_default_context(cafile=settings.ssl_ca or None)
            self._opener = build_opener(HTTPSHandler(context=context))
        else:
            self._opener = build_opener()

    def schema(self, schema_id: int) -> Text:
        """Return a schema by its id."""
        return _text(self._ask(f"schemas/ids/{schema_id}"))

    def version(self, subject: str, number: int) -> Text:
        """Return a version of a subject, a deleted one too."""
        return _text(self._ask(f"subjects/{quote(subject, '')}/versions/{number}?deleted=true"))

    def id_of(self, subject: str, schema: str) -> int:
        """Return the id that an Avro schema has under a subject."""
        asked = {"schema": schema, "schemaType": "AVRO"}
        return int(self._ask(f"subjects/{quote(subject, '')}", asked)["id"])

    def _ask(self, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        for url in self._urls[:-1]:
            try:
                return self._patiently(f"{url}/{path}", data)
            except NO_ANSWER:
                continue
            except Refusal as refusal:
                if refusal.status not in _NOT_NOW:
                    raise
        return self._patiently(f"{self._urls[-1]}/{path}", data)

    def _patiently(self, url: str, data: bytes | None) -> dict[str, Any]:
        for pause in PAUSES_S:
            try:
                return self._once(url, data)
            except Refusal as refusal:
                if refusal.status not in _NOT_NOW:
                    raise
            time.sleep(pause)
        return self._once(url, data)

    def _once(self, url: str, data: bytes | None) -> dict[str, Any]:
        request = Request(url, data, self._headers)  # noqa: S310 - http and https alone, see above
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                content: dict[str, Any] = json.load(answer)
        except HTTPError as error:
            raise _refusal(error) from error
        if not isinstance(content, dict):
            raise HTTPException(f"no answer of a schema registry: {content!r:.80}")
        return content


def _refusal(error: HTTPError) -> Refusal:
    with error:
        try:
            words = str(json.load(error)["message"])
        except (KeyError, TypeError, *NO_ANSWER):
            words = error.reason
    return Refusal(error.code, words)


def _text(answer: dict[str, Any]) -> Text:
    references = tuple((str(r["subject"]), int(r["version"])) for r in answer.get("references", ()))
    return Text(str(answer["schema"]), str(answer.get("schemaType") or "AVRO"), references)
