"""What agents say to each other to measure the way between them: words, bounds and proof. Pure.

A responder greets with GREETING and a nonce of its own; the other side proves that it knows the
token by an HMAC-SHA256 of the nonce (RFC 2104), without which it hears nothing more. Then requests
follow, each one letter and a number of four bytes: ECHO is sent back with its number, UP is
followed by so many bytes and acknowledged with its number, DOWN is answered by so many bytes.
"""

import hashlib
import hmac
import re
import struct
from dataclasses import dataclass

GREETING = b"weir-1 "
NONCE = 16
PROOF = 32
WELCOME = b"+"
ECHO, UP, DOWN = b"E", b"U", b"D"
REQUEST = struct.Struct(">cI")
MOST_BYTES = 8 * 1_048_576
"""The largest transfer that a responder takes part in."""
MOST_REQUESTS = 64
"""Requests of one connection."""
LIFE_S = 20.0
"""A connection is closed after so long, whatever it is doing."""
MOST_CONNECTIONS = 4
LOOPBACK = ("127.0.0.1", "::1", "localhost")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - told apart here, listened on at request alone
"""Addresses to listen on, under which nobody is found."""
_ADDRESS = re.compile(
    r"(?:(?P<name>[^=\s]+)=)?(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s\[\]]+):(?P<port>\d+)"
)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another agent, under the name of its node."""

    name: str
    host: str
    port: int


def proof(token: str, nonce: bytes) -> bytes:
    """Return what shows knowledge of a token."""
    return hmac.new(token.encode(), nonce, hashlib.sha256).digest()


def proven(token: str, nonce: bytes, given: bytes) -> bool:
    """Return whether a proof is right, in a time that tells nothing."""
    return hmac.compare_digest(proof(token, nonce), given)


def address(text: str) -> tuple[str, str, int]:
    """Return name, host and port of `HOST:PORT` or `NAME=HOST:PORT`; the name may be empty.

    Raises ValueError for anything else.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 <= int(found["port"]) <= 65535:
        raise ValueError(f"{text!r} is no HOST:PORT")
    return found["name"] or "", found["host"].strip("[]"), int(found["port"])


def place(host: str, port: int) -> str:
    """Return what `address` reads as this host and port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def megabits_per_s(size: int, took_s: float, round_trip_s: float) -> float:
    """Return the rate of a transfer whose acknowledgement took a round trip of its own."""
    return size * 8 / 1e6 / max(took_s - round_trip_s, took_s / 10, 1e-9)
