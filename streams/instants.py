"""Instants as people write them: an ISO time, or how long ago."""

import re
from datetime import datetime, timezone

from streams.errors import SettingsError

_UNITS = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")


def instant_ms(text: str, now_ms: int) -> int:
    """Return the instant in ms since the epoch; a time without a zone is UTC.

    Raises SettingsError.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return now_ms - round(float(ago[1]) * _UNITS[ago[2]])
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise SettingsError(
            f"{text!r} is no time; write 90s, 30min, 2h, 7d or 2026-01-31T12:00:00Z"
        ) from error
    zoned = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return round(zoned.timestamp() * 1000)


def duration_s(text: str) -> float:
    """Return how long a duration is, in s. Raises SettingsError."""
    found = _AGO.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise SettingsError(f"{text!r} is no duration; write 5s, 0.5s, 2min or 1h")
    return float(found[1]) * _UNITS[found[2]] / 1000
