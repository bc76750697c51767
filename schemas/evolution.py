"""Compatibility of schema versions, judged by Apache Avro's own library.

The modes are those of a schema registry: a reader of the new version can read the old (BACKWARD),
a reader of the old can read the new (FORWARD), both (FULL); with _TRANSITIVE against every earlier
version, otherwise against the newest alone; NONE allows all.
"""

from collections.abc import Sequence

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse

from schemas.errors import ContractError

MODES = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)


def check_schema(text: str) -> None:
    """Raise ContractError, saying where, when the text is no Avro schema."""
    try:
        parse(text)
    except (AvroException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ContractError(f"not a valid Avro schema: {error}") from error


def incompatibilities(new: str, earlier: Sequence[str], mode: str) -> list[str]:
    """Return what makes a schema incompatible with earlier versions (oldest first) in a mode.

    An empty list means compatible. Raises ContractError for an unknown mode or an invalid schema.
    """
    if mode not in MODES:
        raise ContractError(f"unknown compatibility mode {mode!r}; one of {', '.join(MODES)}")
    for text in (new, *earlier):
        check_schema(text)
    if mode == "NONE" or not earlier:
        return []
    against = earlier if mode.endswith("_TRANSITIVE") else earlier[-1:]
    problems: list[str] = []
    for old in reversed(against):
        if not mode.startswith("FORWARD"):
            problems += _cannot_read(reader=new, writer=old, who="new schema", what="old data")
        if not mode.startswith("BACKWARD"):
            problems += _cannot_read(reader=old, writer=new, who="old schema", what="new data")
    return list(dict.fromkeys(problems))


def _cannot_read(*, reader: str, writer: str, who: str, what: str) -> list[str]:
    result = ReaderWriterCompatibilityChecker().get_compatibility(parse(reader), parse(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    places = sorted(result.locations) or ["/"]
    reasons = sorted(result.messages) or [str(kind) for kind in result.incompatibilities]
    return [f"the {who} cannot read {what} at {', '.join(places)}: {'; '.join(reasons)}"]
