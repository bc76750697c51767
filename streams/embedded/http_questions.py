"""From an HTTP request to the question that it asks ClickHouse, and who asks."""

import hmac
import uuid
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from streams.embedded import refusals
from streams.embedded.http_forms import Field, fields_of
from streams.embedded.questions import SESSION_S, External, Question
from streams.embedded.refusals import refused
from streams.embedded.serving import Request
from streams.embedded.sessions import LONGEST_S
from streams.embedded.statements import parse

_RESERVED = frozenset(
    (
        *("query", "query_id", "database", "default_format", "user", "password", "quota_key"),
        *("session_id", "session_timeout", "session_check", "close_session", "role"),
        *("compress", "decompress", "enable_http_compression", "buffer_size"),
        *("wait_end_of_query", "client_protocol_version", "stacktrace"),
    )
)
"""Parameters of a URL that are no settings of the engine."""
_PARAMETER = "param_"
_TRUE = ("1", "true")


@dataclass(frozen=True, slots=True)
class Login:
    """Who may ask; an empty password lets every password pass."""

    user: str = "default"
    password: str = ""


def authenticate(request: Request, login: Login) -> None:
    """Raise QueryRefused (516) when a request comes from somebody else."""
    user, password = _credentials(request)
    known = hmac.compare_digest(user.encode(), login.user.encode())
    right = hmac.compare_digest(password.encode(), login.password.encode())
    if not known or (login.password and not right):
        raise refused(
            refusals.AUTHENTICATION_FAILED,
            f"{user}: Authentication failed: password is incorrect, or there is no user with such "
            "name.",
        )


def _credentials(request: Request) -> tuple[str, str]:
    kind, _, given = (request.headers.get("Authorization") or "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = b64decode(given).decode().partition(":")
        except ValueError:
            user, password = "", ""
        return user, password
    if kind:
        return kind, given
    user = request.headers.get("X-ClickHouse-User") or request.query.get("user", "default")
    key = request.headers.get("X-ClickHouse-Key")
    return user, key if key is not None else request.query.get("password", "")


def question_of(request: Request) -> Question:
    """Return what a request asks.

    Raises QueryRefused when its parameters cannot be, Unreadable when its form cannot be read.
    """
    query = dict(request.query)
    fields = fields_of(request.headers.get("Content-Type") or "", request.body)
    body = request.body if fields is None else b""
    files = []
    for field in fields or ():
        if field.filename is None:
            query[field.name] = field.data.decode("utf-8", "surrogateescape")
        else:
            files.append(field)
    text = query.get("query", "").encode("utf-8", "surrogateescape")
    both = text + b"\n" + body if text and body else text or body
    names = {field.name for field in files}
    own = {f"{name}_{part}" for name in names for part in ("format", "structure", "types")}
    header = request.headers.get
    return Question(
        statement=parse(both),
        database=query.get("database") or header("X-ClickHouse-Database") or "",
        settings={
            name: value
            for name, value in query.items()
            if name not in _RESERVED | own and not name.startswith(_PARAMETER)
        },
        parameters={
            name.removeprefix(_PARAMETER): value
            for name, value in query.items()
            if name.startswith(_PARAMETER)
        },
        external=tuple(_external(field, query) for field in files),
        default_format=query.get("default_format")
        or header("X-ClickHouse-Format")
        or "TabSeparated",
        session=query.get("session_id", ""),
        session_s=_kept_s(query),
        session_must_exist=query.get("session_check") == "1",
        readonly=request.method in ("GET", "HEAD"),
        streamed=query.get("wait_end_of_query", "0") not in _TRUE,
        compressed=query.get("enable_http_compression", "0") in _TRUE,
        mark=query.get("query_id") or str(uuid.uuid4()),
    )


def _external(field: Field, query: Mapping[str, str]) -> External:
    structure = query.get(f"{field.name}_structure")
    if structure is None:
        types = query.get(f"{field.name}_types")
        if types is None:
            raise refused(
                refusals.BAD_ARGUMENTS,
                f"external data {field.name!r} needs {field.name}_structure or {field.name}_types",
            )
        structure = ", ".join(f"_{n} {kind}" for n, kind in enumerate(_split(types), 1))
    return External(
        field.name, structure, query.get(f"{field.name}_format", "TabSeparated"), field.data
    )


def _split(types: str) -> list[str]:
    """Return the types of a list, whose own commas stand in parentheses."""
    found, depth = [""], 0
    for sign in types:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return [kind.strip() for kind in found]


def _kept_s(query: Mapping[str, str]) -> float:
    if query.get("close_session") in _TRUE:
        return 0.0
    text = query.get("session_timeout", str(int(SESSION_S)))
    if not text.isdecimal() or int(text) > LONGEST_S:
        raise refused(
            refusals.INVALID_SESSION_TIMEOUT,
            f"Invalid session timeout {text!r}; from 0 to {LONGEST_S} s",
        )
    return float(text)
