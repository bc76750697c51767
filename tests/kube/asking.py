"""A plain client of the Kubernetes API: HTTPS with a client certificate, JSON in, JSON out.

It shares no code with what it checks.
"""

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Document = dict[str, Any]
_CONTROL = re.compile("[\x7f-\x9f\ufffe\uffff]")


class Refused(Exception):
    """What the server answered in place of what was asked for."""

    def __init__(self, code: int, told: Document) -> None:
        super().__init__(f"{code}: {told.get('message', told)}")
        self.code = code
        self.told = told


@dataclass
class Api:
    """One connection to an API server; not to be shared by threads."""

    port: int
    certificates: Path
    _connection: http.client.HTTPSConnection | None = field(default=None, repr=False)

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> Document:
        """Return the answer. Raises Refused for one that is not 2xx."""
        if self._connection is None:
            self._connection = self._connect(30)
        try:
            self._connection.request(method, path, _written(body), {"Content-Type": kind})
            answer = self._connection.getresponse()
            told = _read(answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if answer.status >= 300:
            raise Refused(answer.status, told)
        return told

    def get(self, path: str) -> Document:
        """Return an object, or a list of them."""
        return self.ask("GET", path)

    def items(self, path: str) -> list[Document]:
        """Return the objects of a collection."""
        found: list[Document] = self.get(path)["items"]
        return found

    def create(self, path: str, body: Document) -> Document:
        """Create an object in a collection."""
        return self.ask("POST", path, body)

    def merge(self, path: str, body: Document, subresource: str = "") -> Document:
        """Change some fields of an object: a merge patch (RFC 7396)."""
        return self.ask("PATCH", path + subresource, body, "application/merge-patch+json")

    def apply(self, path: str, body: Document, manager: str, *, force: bool = False) -> Document:
        """Apply an object as a field manager, held to its schema."""
        asked = f"?fieldManager={manager}&fieldValidation=Strict&force={str(force).lower()}"
        return self.ask("PATCH", path + asked, body, "application/apply-patch+yaml")

    def delete(self, path: str) -> Document:
        """Delete an object, or all of a collection."""
        return self.ask("DELETE", path, {"propagationPolicy": "Background"})

    @contextmanager
    def watching(self, path: str, since: str, stay_s: int = 30) -> Iterator[Iterator[Document]]:
        """Give what changes in a collection after a resource version, on a connection of its own.

        The server ends it after `stay_s` seconds. Raises Refused where it will not begin.
        """
        connection = self._connect(stay_s + 10)
        asked = f"{path}?watch=1&resourceVersion={since}&timeoutSeconds={stay_s}"
        try:
            connection.request("GET", asked)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise Refused(answer.status, _read(answer.read()))
            yield (json.loads(line) for line in answer)
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, limit_s: float) -> http.client.HTTPSConnection:
        trusted = ssl.create_default_context(cafile=str(self.certificates / "ca.crt"))
        trusted.load_cert_chain(self.certificates / "admin.crt", self.certificates / "admin.key")
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=limit_s, context=trusted)


def _written(body: Any) -> bytes | None:
    """Return JSON that is YAML as well, which what is applied is read as: no pairs of surrogates,
    no bare control characters.
    """
    if body is None:
        return None
    text = json.dumps(body, ensure_ascii=False)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _read(raw: bytes) -> Document:
    try:
        told = json.loads(raw)
    except ValueError:
        return {"message": raw.decode("utf-8", "replace")}
    return told if isinstance(told, dict) else {"message": told}
