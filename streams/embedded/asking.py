"""What a request to the registry asks: query, body, paging, and what is not supported here."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from schemas import normal
from schemas.errors import ContractError
from streams.embedded.serving import Request
from streams.embedded.versions import AVRO, Content, RegistryRefused, content_of, page

MAX_SCHEMA = 900_000
"""Characters; a record of the topic must stay below the broker's limit of a message, 1 MB."""
_DEFAULT_CONTEXT = ":.:"
_LEVEL = frozenset({"compatibility", "compatibilityLevel"})


class Asked:
    """Query and body of a request."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def text(self, name: str) -> str:
        """Return a parameter of the query; empty when it is not given."""
        return self._request.query.get(name, "")

    def flag(self, *names: str) -> bool:
        """Tell whether any of these parameters is true."""
        return any(self.text(name).lower() == "true" for name in names)

    def pairs(self, first: str, second: str) -> list[tuple[str, str]]:
        """Return the values of two parameters that may be given several times, side by side."""
        one, other = ([v for k, v in self._request.pairs if k == name] for name in (first, second))
        return list(zip(one, other, strict=False))

    def page(self, items: Sequence[Any]) -> list[Any]:
        """Return the part that `offset` and `limit` ask for; a negative limit is none."""
        try:
            return page(items, max(0, int(self.text("offset") or 0)), int(self.text("limit") or -1))
        except ValueError as error:
            raise RegistryRefused(
                404, "HTTP 404 Not Found: offset and limit are numbers"
            ) from error

    def body(self) -> dict[str, Any]:
        """Return the body, an object. Raises RegistryRefused (422)."""
        try:
            parsed = json.loads(self._request.body)
        except (ValueError, RecursionError) as error:
            raise RegistryRefused(422, f"the body is no JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise RegistryRefused(422, "the body is no JSON object")
        return parsed

    def content(self) -> Content:
        """Return the schema that is sent; with `normalize` in normal form.

        Raises RegistryRefused (422, 42201 no schema or not Avro, 42209 too large).
        """
        body = self.body()
        kind = body.get("schemaType") or AVRO
        if kind != AVRO:
            raise RegistryRefused(42201, f"Invalid schema type {kind}: only AVRO is kept here")
        if not isinstance(body.get("schema", ""), str | None):
            raise RegistryRefused(42201, "Invalid schema: 'schema' is no text")
        content = content_of(body)
        if len(content.schema) > MAX_SCHEMA:
            raise RegistryRefused(42209, f"Schema is larger than {MAX_SCHEMA} characters")
        return _normalized(content) if self.flag("normalize") else content

    def place(self) -> tuple[int, int]:
        """Return the id and version that an import asks for, each 0 when it asks for none."""
        body = self.body()
        try:
            return max(0, int(body.get("id") or 0)), max(0, int(body.get("version") or 0))
        except (TypeError, ValueError) as error:
            raise RegistryRefused(422, "'id' and 'version' are numbers") from error

    def compatibility(self) -> str:
        """Return the level that is to be set. Raises RegistryRefused (42205 something else too)."""
        body = self.body()
        further = sorted(name for name, value in body.items() if value and name not in _LEVEL)
        if further:
            raise RegistryRefused(
                42205, f"{', '.join(further)}: this registry keeps compatibility levels alone"
            )
        return str(next((body[name] for name in sorted(_LEVEL) if body.get(name)), "")).upper()


def subject_of(name: str) -> str:
    """Return a subject without the name of the default context.

    Raises RegistryRefused (42208) for other contexts and for names that no subject may have.
    """
    plain = name.removeprefix(_DEFAULT_CONTEXT)
    if plain.startswith(":.") or not plain.isprintable():
        raise RegistryRefused(
            42208, f"The specified subject {name!r} is not a valid subject; contexts are not kept"
        )
    return plain


def _normalized(content: Content) -> Content:
    try:
        return replace(content, schema=normal.canonical(content.schema))
    except ContractError as error:
        raise RegistryRefused(42201, f"Invalid schema: {error}") from error
