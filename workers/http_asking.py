"""The door to services of others over HTTP: one question, one answer, within one time.

Addresses may hold secrets in their path; what is told of a failure names host and port alone.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from workers.errors import WorkerError

MOST_BYTES = 1 << 20
"""Bytes of an answer that are read, unless the caller says otherwise."""
_LONGEST_WAIT_S = 3600.0


class Unanswered(WorkerError):
    """Nobody answered: refused, broken off or too late. The words name host and port alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the body as far as it was read, and when to come again, s."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it was taken."""
        return 200 <= self.status < 300

    @property
    def again(self) -> bool:
        """Whether the same may be taken later: too much was asked, or the service is in trouble."""
        return self.status in (408, 425, 429) or self.status >= 500


def place_of(url: str) -> str:
    """Return host and port of a URL, without name, password and path."""
    try:
        place = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        place = ""
    return place or "an address without a host"


async def ask(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout_s: float,
    most: int = MOST_BYTES,
) -> Answer:
    """Send a body by POST and return the answer; redirections are not followed.

    `timeout_s` bounds all of it, however slowly the answer drips. Raises Unanswered.
    """
    where = place_of(url)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
            session.post(url, data=body, headers=dict(headers), allow_redirects=False) as reply,
        ):
            found = bytearray()
            async for chunk in reply.content.iter_chunked(65_536):
                found += chunk[: most - len(found)]
                if len(found) >= most:
                    break
            return Answer(reply.status, bytes(found), _seconds(reply.headers.get("Retry-After")))
    except asyncio.TimeoutError as error:
        raise Unanswered(f"{where} did not answer within {timeout_s:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Unanswered(f"{where} cannot be asked: {type(error).__name__}") from error


def ask_now(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout_s: float,
    most: int = MOST_BYTES,
) -> Answer:
    """Do the same from a thread that has no event loop. Raises Unanswered."""
    return asyncio.run(ask(url, body, headers, timeout_s, most))


def _seconds(told: str | None) -> float | None:
    """Return a wait in seconds as a header tells it; a date, or nonsense, tells nothing."""
    try:
        wait = float(told) if told is not None else -1.0
    except ValueError:
        return None
    return min(wait, _LONGEST_WAIT_S) if wait >= 0.0 else None
