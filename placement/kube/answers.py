"""What an API server says, and what that means. Pure.

Every answer is a value. `Verdict` tells what can be done about it: wait and ask again, read and
decide again, or tell somebody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Verdict(Enum):
    """What became of a question."""

    DONE = "done"
    ABSENT = "absent"
    CHANGED = "changed"
    """Somebody has changed or made the object since it was read."""
    OWNED = "owned"
    """Another field manager owns fields that we set."""
    EXPIRED = "expired"
    """The resource version is older than what the server remembers: list again."""
    INVALID = "invalid"
    UNKNOWN = "unknown"
    """401: the server does not know us, for example because our credentials have expired."""
    FORBIDDEN = "forbidden"
    BUSY = "busy"
    """429 or 5xx: later."""
    AWAY = "away"
    """No answer: refused, cut off, or too slow."""


_BY_CODE = {
    400: Verdict.INVALID,
    401: Verdict.UNKNOWN,
    403: Verdict.FORBIDDEN,
    404: Verdict.ABSENT,
    405: Verdict.INVALID,
    409: Verdict.CHANGED,
    410: Verdict.EXPIRED,
    413: Verdict.INVALID,
    415: Verdict.INVALID,
    422: Verdict.INVALID,
    429: Verdict.BUSY,
}
_MALFORMED = ("failed to create typed patch object", "failed to create manifest")
"""What a server answers with 500 to an object that is applied and has a field that it knows not."""
_MOST_WORDS = 1000
AGAIN = (Verdict.BUSY, Verdict.AWAY)
"""Verdicts after which the same question may be asked again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question; `code` 0 when there was no answer."""

    verdict: Verdict
    code: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    retry_after_s: float | None = None
    contested: tuple[tuple[str, str], ...] = ()
    """Field managers and the fields of ours that they own."""

    @property
    def done(self) -> bool:
        """Whether it is as asked."""
        return self.verdict is Verdict.DONE

    @property
    def version(self) -> str:
        """Return the resource version of the object or list."""
        return str(self.body.get("metadata", {}).get("resourceVersion", ""))


def answer(code: int, body: Mapping[str, Any], retry_after: str = "") -> Answer:
    """Return what a response means; `retry_after` is its header, in seconds."""
    if code < 300:
        return Answer(Verdict.DONE, code, body)
    reason, told = str(body.get("reason", "")), str(body.get("message", ""))[:_MOST_WORDS]
    contested = _contested(body) if code == 409 else ()
    verdict = _BY_CODE.get(code, Verdict.BUSY if code >= 500 else Verdict.INVALID)
    if contested:
        verdict = Verdict.OWNED
    if code == 500 and any(words in told for words in _MALFORMED):
        verdict = Verdict.INVALID
    seconds = float(retry_after) if retry_after.isdecimal() else None
    return Answer(verdict, code, body, reason, _words(verdict, code, told), seconds, contested)


def away(why: str) -> Answer:
    """Return that there was no answer, and why."""
    if "certificate" in why and ("expired" in why or "EXPIRED" in why):
        told = f"a certificate has expired: {why}"
        return Answer(Verdict.UNKNOWN, reason="CertificateExpired", message=told[:_MOST_WORDS])
    told = f"the API server does not answer: {why}"
    return Answer(Verdict.AWAY, reason="NoAnswer", message=told[:_MOST_WORDS])


def _words(verdict: Verdict, code: int, told: str) -> str:
    if verdict is Verdict.UNKNOWN:
        return (
            "the API server does not accept our credentials (401): they have expired or were "
            f"withdrawn; renew the token or certificate ({told or 'Unauthorized'})"
        )
    if verdict is Verdict.FORBIDDEN:
        return f"the API server does not allow it (403): {told}"
    return told or f"the API server answered {code}"


def _contested(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return who owns which fields; the server names them as `conflict with "manager"`."""
    causes = (body.get("details") or {}).get("causes") or ()
    return tuple(
        (_quoted(str(cause.get("message", ""))), str(cause.get("field", "")))
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict"
    )


def _quoted(message: str) -> str:
    parts = message.split('"')
    return parts[1] if len(parts) > 2 else message
