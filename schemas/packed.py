"""Events that are encoded where they are made, many at a time, and the outputs that hold them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from schemas import files, introspect
from schemas.base import Event
from schemas.codec import unpack_plain
from schemas.processing import Output


@dataclass(frozen=True, slots=True)
class Packed:
    """An event by its message key and its Avro, written with the newest schema of its class.

    It goes to the topic of its class; where that depends on the event, to the one named here.
    """

    kind: type[Event]
    key: str
    body: bytes
    topic: str = ""

    def event(self) -> Event:
        """Return the event.

        Raises DecodeError.
        """
        plain = unpack_plain(self.body, files.text(self.kind.__name__), self.kind)
        built: Event = introspect.from_plain(self.kind)(plain)
        return built


class Told(Sequence[Output]):
    """Outputs of a processor of which some are packed; a host takes `parts` as they are.

    To others it is a sequence of outputs, decoded each time that one is looked at.
    """

    def __init__(self, parts: Sequence[Output | Packed]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Output]:
        return map(_plain, self.parts)

    @overload
    def __getitem__(self, index: int) -> Output: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Output]: ...
    def __getitem__(self, index: Any) -> Any:
        """Return an output, or some."""
        if isinstance(index, slice):
            return [_plain(part) for part in self.parts[index]]
        return _plain(self.parts[index])

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence of outputs."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as lists have it

    def __repr__(self) -> str:
        return repr(list(self))


def _plain(part: Output | Packed) -> Output:
    return part.event() if isinstance(part, Packed) else part


def parts_of(outputs: Sequence[Output]) -> Sequence[Output | Packed]:
    """Return outputs as a host sends them: what is packed stays so."""
    return outputs.parts if isinstance(outputs, Told) else outputs
