"""Records that several events embed.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValue:
    """One entry of an open set of properties.

    Avro maps are not used: columnar readers cannot decode them.
    """

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRange:
    """Raw events that a derived event was computed from: a run of offsets in one partition."""

    topic: str
    partition: int
    first: int
    last: int
    series: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One named tensor, inline up to 64 kB or by reference."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    data: bytes | None = None
    reference: str | None = None
    digest: str | None = None
