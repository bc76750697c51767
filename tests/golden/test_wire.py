"""The bytes on the wire do not change under anybody's feet."""

from pathlib import Path

import pytest

from schemas import codec, files, introspect
from schemas.base import Event
from schemas.events import EVENTS, event_named
from tests.examples import example
from tests.golden.write import FOLDER, golden, hexed

GOLDEN = sorted(FOLDER.glob("*.hex"))


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_every_event_has_the_golden_bytes(event: type[Event]) -> None:
    assert hexed(codec.pack(example(event))) == golden(event).read_text("ascii")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_bytes_of_every_version_can_be_read(path: Path) -> None:
    record, version = path.stem.split(".")
    event = event_named(record)
    body = bytes.fromhex(path.read_text("ascii"))
    plain = codec.unpack_plain(body, files.text(record, int(version)), event)
    built = introspect.from_plain(event)(plain)
    if path == golden(event):
        assert built == example(event)
    assert isinstance(built, event)


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{r}.{v}.hex" for r in files.records() for v in files.versions(r)}
    assert {path.name for path in GOLDEN} == expected
