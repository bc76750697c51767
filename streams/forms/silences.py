"""What an operator asks of a silence, as the event that defines it. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from schemas.quality import SilenceDefined
from streams.definitions import duration_ms
from streams.errors import RegistrationError
from streams.registration import NAME, identified

TIERS = ("rules", "anomaly", "diagnosis")


def made(
    name: str,
    scope: Mapping[str, str],
    lasting: str,
    begin: str,
    reason: str,
    owner: str,
    now_ms: int,
) -> SilenceDefined:
    """Return a silence that begins and ends so long from now.

    Raises RegistrationError for a name, time, tier or reason that cannot be used.
    """
    if not NAME.fullmatch(name):
        raise RegistrationError(
            f"silence {name!r}: use up to 63 letters, digits, '.', '_' and '-', "
            "with a letter or digit at both ends"
        )
    if not reason.strip():
        raise RegistrationError(f"silence {name}: say why with --reason")
    if scope.get("tier", TIERS[0]) not in TIERS:
        raise RegistrationError(
            f"silence {name}: tier {scope['tier']!r} is unknown; known: {', '.join(TIERS)}"
        )
    starts_at = now_ms + _ms(begin, f"silence {name}: --in")
    length = _ms(lasting, f"silence {name}: --for")
    if length < 1:
        raise RegistrationError(f"silence {name}: --for is {lasting}; it must be longer")
    return identified(
        SilenceDefined(
            name=name,
            **scope,
            starts_at=starts_at,
            ends_at=starts_at + length,
            reason=reason,
            owner=owner,
            registered_at=now_ms,
            event_id="",
        ),
        now_ms,
    )


def ended(silence: SilenceDefined, now_ms: int) -> SilenceDefined:
    """Return a silence that ends now; itself when it is over."""
    if silence.ends_at <= now_ms:
        return silence
    starts_at = min(silence.starts_at, now_ms)
    return identified(replace(silence, starts_at=starts_at, ends_at=now_ms), now_ms)


def check_name(name: str, taken: Mapping[str, str]) -> None:
    """Raise RegistrationError when something else on the topic of definitions has a name."""
    if name in taken:
        raise RegistrationError(f"{name} is the name of a {taken[name]}; choose another")


def _ms(text: str, what: str) -> int:
    found = duration_ms(text)
    if found is None:
        raise RegistrationError(f"{what} is {text!r}; write a time such as 30m or 2h")
    return found
