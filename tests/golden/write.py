"""Writes the golden bytes of every event: `.venv/bin/python -m tests.golden.write`.

And the schemas of processors' states. Only for a new event, version or format: a file that exists
is never changed, since its bytes stand on topics. Remove a file by hand to have it written again.
"""

import json
from pathlib import Path

from schemas import codec, files, introspect
from schemas.base import Event
from schemas.events import EVENTS
from streams.topology import PROCESSORS, spec_named
from tests.examples import example

FOLDER = Path(__file__).parent
STATES = Path(files.__file__).parent / "states"


def golden(event: type[Event]) -> Path:
    """Return the file with the bytes of an event's newest version."""
    name = event.__name__
    return FOLDER / f"{name}.{files.versions(name)[-1]}.hex"


def hexed(body: bytes) -> str:
    """Return bytes as lines of 32, in hexadecimal."""
    text = body.hex()
    return "".join(text[start : start + 64] + "\n" for start in range(0, len(text), 64))


def main() -> None:
    """Write what is missing."""
    for event in EVENTS.values():
        path = golden(event)
        if not path.exists():
            path.write_text(hexed(codec.pack(example(event))), "ascii")
            print("wrote", path.name)
    write_states()


def write_states() -> None:
    """Write the schemas of formats of state that have none yet."""
    for spec in map(spec_named, PROCESSORS):
        if spec.state is None:
            continue
        path = STATES / f"{spec.state.__name__}.{spec.format}.avsc"
        if not path.exists():
            schema = introspect.avro_of(spec.state, namespace="weir.state")
            path.write_text(json.dumps(schema, indent=2) + "\n", "utf-8")
            print("wrote", path.name)


if __name__ == "__main__":
    main()
