"""Which logs and spans are kept: decided by what they are, so that a repeat decides the same. Pure.

A trace is kept or left as a whole, also by other intakes with the same rate. Errors are always
kept, with rate 1; all other events carry the rate, by whose inverse estimates are weighed.
"""

from schemas.identity import stable_id

_ALL = 1 << 64


def kept(rate: float, trace_id: str, *parts: str | int) -> bool:
    """Tell whether something is in the share that is kept; `parts` tell it where no trace does.

    Source: consistent probability sampling as OpenTelemetry's TraceIdRatioBased does it; the id
    is hashed, since ids of some libraries are not random throughout.
    """
    if rate >= 1:
        return True
    digest = stable_id("trace", trace_id) if trace_id else stable_id("log", *parts)
    return int(digest[:16], 16) < rate * _ALL
