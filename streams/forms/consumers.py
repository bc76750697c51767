"""Consumers as they are registered: checked, and with a token of which only the SHA-256 is kept."""

import math
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schemas.registrations import ConsumerRegistered
from streams import registration
from streams.errors import RegistrationError
from workers.gateway.access import digest_of

TOKEN_BYTES = 32


def registered(
    plain: Mapping[str, Any], known: Mapping[str, ConsumerRegistered], now_ms: int
) -> ConsumerRegistered:
    """Return the registration of a consumer; its token stays the one that it has.

    Raises RegistrationError.
    """
    standing = known.get(str(plain.get("consumer")))
    kept = {"token_sha256": standing.token_sha256} if standing is not None else {}
    made = registration.consumer({**kept, **plain}, now_ms)
    rate = made.rate_per_s
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        raise RegistrationError(
            f"consumer {made.consumer}: rate_per_s {rate} is no number above 0; leave it out for "
            "no limit"
        )
    if not (math.isfinite(made.share) and made.share > 0) or made.burst < 0:
        raise RegistrationError(
            f"consumer {made.consumer}: share must be above 0, burst at least 0"
        )
    return made


def with_token(known: ConsumerRegistered, now_ms: int) -> tuple[ConsumerRegistered, str]:
    """Return a consumer with a new token, and the token, which nothing else tells."""
    token = f"weir_{secrets.token_urlsafe(TOKEN_BYTES)}"
    return registration.identified(replace(known, token_sha256=digest_of(token)), now_ms), token


def without_token(known: ConsumerRegistered, now_ms: int) -> ConsumerRegistered:
    """Return a consumer whose token counts no more."""
    return registration.identified(replace(known, token_sha256=""), now_ms)
