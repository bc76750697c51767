"""Tasks as Avro, many at a time: members of one stage get the same inputs, encoded once.

Avro writes the fields of a record one after the other, so that the bytes of a task are those of
what tells it from others, then those of what it shares with the task before: inputs, trace,
purpose and user. The first of a run is encoded whole by the codec, and shows where these begin.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from schemas.codec import pack
from schemas.inference import InferenceTask
from schemas.packed import Packed
from schemas.processing import Output
from schemas.topics import task_topic


def packed_tasks(outputs: Iterable[Output | Packed]) -> Iterator[Output | Packed]:
    """Yield outputs in their order, tasks as Avro."""
    last: InferenceTask | None = None
    shared = b""
    for output in outputs:
        if not isinstance(output, InferenceTask):
            yield output
            continue
        own = _own(output)
        if last is not None and _alike(output, last):
            body = own + shared
        else:
            body = pack(output)
            fits = body.startswith(own)
            shared, last = body[len(own) :], output if fits else None
        yield Packed(InferenceTask, output.request_id, body, task_topic(output.worker))


def _alike(one: InferenceTask, other: InferenceTask) -> bool:
    return (
        one.inputs is other.inputs
        and one.purpose == other.purpose
        and one.trace == other.trace
        and one.user == other.user
    )


def _own(task: InferenceTask) -> bytes:
    """Return the Avro of a task's fields up to its inputs."""
    return b"".join(
        (
            _fresh(task.task_id),
            _text(task.request_id),
            _text(task.app),
            _text(task.stage),
            _text(task.service),
            _text(task.instance),
            _text(task.worker),
            _long(task.attempt),
            _long(task.priority),
            _long(task.created_at),
            _long(task.deadline),
            b"\1" if task.shadow else b"\0",
            _long(task.generation),
        )
    )


def _fresh(text: str) -> bytes:
    raw = text.encode()
    return _long(len(raw)) + raw


_text = lru_cache(maxsize=4096)(_fresh)


@lru_cache(maxsize=4096)
def _long(number: int) -> bytes:
    """Return a long as Avro has it: zigzag, then seven bits a byte, the lowest first."""
    left = number << 1 if number >= 0 else ((-number) << 1) - 1
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)
