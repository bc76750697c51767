"""Answers to reports over HTTP: what went wrong, in the words that the sender's protocol has."""

import asyncio
import json
import zlib
from typing import NoReturn

from aiohttp import web

from workers.intake import otlp_body
from workers.intake.delivering import Retry, Unfit
from workers.intake.deltas import Busy
from workers.intake.qoa4ml import Malformed
from workers.intake.receiving import TooFast

READ_S = 10.0
"""Longest wait for the body of a request."""
MOST_PARTS = 64
"""Streams that a packed body may be made of, one behind the other."""
ENCODINGS = ("", "identity", "gzip", "deflate")
MAX_BODY = web.AppKey("max_body", int)


class TooLarge(Exception):
    """A body is larger than may be."""


class Refusal(Exception):
    """A request is not taken: status of HTTP, code of google.rpc, why, and when to try again."""

    def __init__(self, status: int, code: int, why: str, after_s: int = 0) -> None:
        super().__init__(why)
        self.status = status
        self.code = code
        self.why = why
        self.after_s = after_s

    def headers(self) -> dict[str, str]:
        """Return what is to be said besides: when to try again, how to be let in."""
        if self.status == 401:
            return {"WWW-Authenticate": "Bearer"}
        return {"Retry-After": str(self.after_s)} if self.after_s else {}


def told(refusal: Refusal, kind: str) -> web.Response:
    """Return a refusal as a Status of google.rpc, in the encoding of its request."""
    return web.Response(
        status=refusal.status,
        body=otlp_body.status(refusal.code, refusal.why, kind),
        content_type=kind,
        headers=refusal.headers(),
    )


def told_plainly(refusal: Refusal) -> web.Response:
    """Return a refusal as JSON of our own."""
    return web.Response(
        status=refusal.status,
        body=json.dumps({"error": refusal.why}).encode(),
        content_type="application/json",
        headers=refusal.headers(),
    )


def refuse(error: Exception) -> NoReturn:
    """Raise the Refusal that an error while taking a report means."""
    if isinstance(error, TooFast):
        raise Refusal(429, otlp_body.EXHAUSTED, str(error), error.after_s) from error
    if isinstance(error, Retry):
        raise Refusal(503, otlp_body.UNAVAILABLE, str(error), error.after_s) from error
    if isinstance(error, Busy):
        raise Refusal(503, otlp_body.UNAVAILABLE, str(error), 1) from error
    if isinstance(error, Unfit):
        raise Refusal(413, otlp_body.INVALID, f"{error}; send smaller batches") from error
    if isinstance(error, Malformed):
        raise Refusal(400, otlp_body.INVALID, str(error)) from error
    raise error


def kind_of(request: web.Request, kinds: tuple[str, ...]) -> str:
    """Return the content type of a request, one of `kinds`; raises Refusal for any other.

    Also for an encoding that is not understood.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise Refusal(
            415, otlp_body.INVALID, f"Content-Encoding {encoding!r}; send gzip, deflate or none"
        )
    if request.content_type not in kinds:
        raise Refusal(
            415,
            otlp_body.INVALID,
            f"Content-Type {request.content_type!r}; send {' or '.join(kinds)}",
        )
    return request.content_type


async def body_of(request: web.Request) -> bytes:
    """Return the unpacked body of a request.

    Raises Refusal when it is larger than may be, unpacked, or cannot be unpacked.
    """
    most = request.app[MAX_BODY]
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    try:
        body = await asyncio.wait_for(request.read(), READ_S)
        return unpacked(body, encoding, most)
    except asyncio.TimeoutError as error:
        why = f"the body has not come within {READ_S:g} s"
        raise Refusal(408, otlp_body.UNAVAILABLE, why) from error
    except (web.HTTPRequestEntityTooLarge, TooLarge) as error:
        why = f"the body is larger than {most} bytes, unpacked; send smaller batches"
        raise Refusal(413, otlp_body.INVALID, why) from error
    except (web.RequestPayloadError, zlib.error) as error:
        why = f"the body cannot be unpacked as {encoding or 'it is'}: {error}"
        raise Refusal(400, otlp_body.INVALID, why) from error


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """Return a body without its encoding; no more than `most` bytes of it are ever unpacked.

    Raises TooLarge when there are more, zlib.error for what is damaged, ends too early, or is of
    so many parts that to unpack it would be work without end.
    """
    if encoding in ("", "identity"):
        return body
    out, parts = bytearray(), 0
    while body:
        parts += 1
        if parts > MOST_PARTS:
            raise zlib.error(f"it is of more than {MOST_PARTS} parts")
        packed = zlib.decompressobj(wbits=31 if encoding == "gzip" else 15)
        out += packed.decompress(body, most + 1 - len(out))
        if len(out) > most:
            raise TooLarge
        if not packed.eof:
            raise zlib.error("it ends too early")
        body = packed.unused_data
    return bytes(out)
