"""Writes the golden bytes of every event: `.venv/bin/python -m tests.golden.write`.

Only for a new event or a new schema version: a file that exists is never changed, since its bytes
stand on topics. Remove a file by hand to have it written again.
"""

from pathlib import Path

from schemas import codec, files
from schemas.base import Event
from schemas.events import EVENTS
from tests.examples import example

FOLDER = Path(__file__).parent


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


if __name__ == "__main__":
    main()
