"""Parameters of processors: their identity, their checks."""

from typing import Any

from processors.errors import InvalidParameters
from schemas.identity import stable_id


def identity(params: object) -> str:
    """Return a hash of frozen dataclass parameters; equal parameters have equal hashes."""
    return stable_id("parameters", repr(params))


def require(params: object, **least: float) -> None:
    """Check that each named field is at least the given value.

    Raises InvalidParameters, naming the field.
    """
    for name, low in least.items():
        value: Any = getattr(params, name)
        if value < low:
            kind = type(params).__name__
            raise InvalidParameters(f"{kind}.{name} is {value}; it must be at least {low:g}")
