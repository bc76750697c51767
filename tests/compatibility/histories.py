"""Three versions each of many schemas, and what Avro's Java library says of every two of them."""

import hashlib
import json
from functools import cache
from itertools import permutations
from pathlib import Path

from tests.schema_pairs import Maker

COUNT = 250
FILE = Path(__file__).parent / "verdicts.json"


@cache
def histories() -> list[tuple[str, str, str]]:
    """Return the versions of each schema, oldest first, as JSON."""
    made = (Maker(seed).versions(3) for seed in range(COUNT))
    return [(json.dumps(a), json.dumps(b), json.dumps(c)) for a, b, c in made]


def pairs() -> list[tuple[str, str]]:
    """Return readers and writers: every two versions of each schema, both ways."""
    return [pair for history in histories() for pair in permutations(history, 2)]


def digest() -> str:
    """Return what tells whether the verdicts that are kept are those of these pairs."""
    return hashlib.sha256(json.dumps(pairs()).encode()).hexdigest()


@cache
def of_java() -> dict[tuple[str, str], bool]:
    """Return the verdict on each reader and writer."""
    kept = json.loads(FILE.read_text("ascii"))
    if kept["digest"] != digest():
        raise AssertionError(
            "the pairs have changed; run `.venv/bin/python -m tests.compatibility.write`"
        )
    return {pair: said == "1" for pair, said in zip(pairs(), kept["verdicts"], strict=True)}
