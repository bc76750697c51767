"""Events as they are kept on disk: record, schema version, Avro body. Pure.

No registry is needed to write them, nor the one that was there then to read them.
"""

from dataclasses import dataclass

from schemas import codec, files, introspect
from schemas.base import Event
from schemas.errors import DecodeError, UnknownContract
from schemas.events import EVENTS
from schemas.identity import stable_number


@dataclass(frozen=True, slots=True)
class Packed:
    """An event on disk; `checked` is a checksum of the rest."""

    record: str
    version: int
    body: bytes
    checked: int

    @classmethod
    def of(cls, event: Event) -> "Packed":
        """Return an event as it is kept. Raises EncodeError."""
        record = type(event).__name__
        version, body = files.versions(record)[-1], codec.pack(event)
        return cls(record, version, body, _checksum(record, version, body))

    @property
    def sound(self) -> bool:
        """Tell whether it is what was once written."""
        return self.checked == _checksum(self.record, self.version, self.body)

    def event(self) -> Event:
        """Return the event, whichever version it was written with. Raises DecodeError."""
        if not self.sound:
            raise DecodeError("malformed", f"a kept {self.record} is damaged")
        kind = EVENTS.get(self.record)
        if kind is None:
            raise DecodeError("unknown-schema", f"no event is named {self.record}")
        try:
            writer = files.text(self.record, self.version)
        except UnknownContract as error:
            raise DecodeError("unknown-schema", str(error)) from error
        plain = codec.unpack_plain(self.body, writer, kind)
        event: Event = introspect.from_plain(kind)(plain)
        return event


def _checksum(record: str, version: int, body: bytes) -> int:
    return stable_number(f"{record}/{version}/".encode() + body)
