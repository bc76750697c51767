"""AWS Signature Version 4 of requests to S3 and stores that are compatible with it.

Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)" in the
Amazon S3 API reference; its four examples are the tests.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

EMPTY = hashlib.sha256(b"").hexdigest()
"""SHA-256 of an empty body."""
_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs; `token` is that of a temporary session, or empty."""

    access_key: str
    secret_key: str
    token: str = ""


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body_digest: str,
    who: Credentials,
    region: str,
    stamp: str,
) -> dict[str, str]:
    """Return the headers, with those that sign the request.

    `url` has its path quoted already; `body_digest` is the SHA-256 of the body in hexadecimal,
    `stamp` the time as YYYYMMDDTHHMMSSZ.
    """
    parts = urlsplit(url)
    every = dict(headers) | {
        "Host": parts.netloc,
        "x-amz-content-sha256": body_digest,
        "x-amz-date": stamp,
    }
    if who.token:
        every["x-amz-security-token"] = who.token
    plain = {name.lower(): " ".join(value.split()) for name, value in every.items()}
    names = ";".join(sorted(plain))
    request = "\n".join(
        (
            method,
            parts.path or "/",
            _query(parts.query),
            *(f"{name}:{plain[name]}" for name in sorted(plain)),
            "",
            names,
            body_digest,
        )
    )
    scope = f"{stamp[:8]}/{region}/{_SERVICE}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join((_ALGORITHM, stamp, scope, digest))
    signature = hmac.new(_key(who.secret_key, region, stamp[:8]), text.encode(), "sha256")
    every["Authorization"] = (
        f"{_ALGORITHM} Credential={who.access_key}/{scope},SignedHeaders={names},"
        f"Signature={signature.hexdigest()}"
    )
    return every


def _key(secret: str, region: str, day: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, _SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key


def _query(query: str) -> str:
    found = parse_qsl(query, keep_blank_values=True)
    return "&".join(
        f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(found)
    )
