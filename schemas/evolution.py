"""Compatibility of schema versions, judged by Apache Avro's own library.

The modes are those of a schema registry: a reader of the new version can read the old (BACKWARD),
a reader of the old can read the new (FORWARD), both (FULL); with _TRANSITIVE against every earlier
version, otherwise against the newest alone; NONE allows all.

Schemas are judged in normal form: Avro's Python library compares an alias as it is written, the
Java one, by which Confluent's registry judges, by its full name.
"""

import json
import warnings
from collections.abc import Sequence
from functools import lru_cache

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException, IgnoredLogicalType
from avro.schema import Schema, parse

from schemas import defaults, normal
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


@lru_cache(maxsize=1024)
def check_schema(text: str) -> None:
    """Raise ContractError, saying where, when the text is no Avro schema that may be published.

    Names and defaults are judged as Avro's Java library judges them.
    """
    _parsed(text)
    try:
        wrong = defaults.problems(json.loads(normal.canonical(text)))
    except RecursionError:
        wrong = ["a default of a record holds itself without end"]
    if wrong:
        raise ContractError(f"not a valid Avro schema: {'; '.join(wrong)}")


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Schema:
    """Return a schema as Avro's library sees it, from its normal form: aliases in full names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IgnoredLogicalType)  # what is unknown annotates nothing
            return parse(normal.canonical(text))
    except (AvroException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ContractError(f"not a valid Avro schema: {error}") from error


def incompatibilities(new: str, earlier: Sequence[str], mode: str) -> list[str]:
    """Return what makes a schema incompatible with earlier versions (oldest first) in a mode.

    An empty list means compatible. Raises ContractError for an unknown mode or an invalid schema.
    """
    if mode not in MODES:
        raise ContractError(f"unknown compatibility mode {mode!r}; one of {', '.join(MODES)}")
    check_schema(new)
    for text in earlier:
        _parsed(text)
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
    checker = ReaderWriterCompatibilityChecker()
    result = checker.get_compatibility(_parsed(reader), _parsed(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    places = sorted(result.locations) or ["/"]
    reasons = sorted(result.messages) or [str(kind) for kind in result.incompatibilities]
    return [f"the {who} cannot read {what} at {', '.join(places)}: {'; '.join(reasons)}"]
