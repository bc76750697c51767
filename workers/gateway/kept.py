"""Answers for who asks later, and for repeats of a key: bounded in number, bytes and time (s)."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from schemas.inference import InferenceResponse

_LEAST, _MEMBER = 2_000, 600
"""Bytes of an answer with nothing in it, and of what it says of one member."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and how long it took from when its request was sent to when it was heard, ms."""

    response: InferenceResponse
    topics_ms: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One request: whose it is, the digest of what it asked, and its answer to come."""

    consumer: str
    asked: str
    answer: "asyncio.Future[Answered]"
    at: float


class Kept:
    """Entries by request id, oldest first; at most `most`, each for `keep_s` seconds.

    Their answers take at most `most_bytes`: those that came first go first.
    """

    def __init__(self, most: int, most_bytes: int, keep_s: float) -> None:
        self._most, self._most_bytes, self._keep_s = most, most_bytes, keep_s
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0

    def get(self, request_id: str, now: float) -> Entry | None:
        """Return an entry whose time is not over."""
        self._forget(now)
        return self._entries.get(request_id)

    def put(self, request_id: str, entry: Entry) -> None:
        """Keep an entry; the oldest goes when there are too many."""
        self._drop(request_id)
        self._entries[request_id] = entry
        self._forget(entry.at)

    def weigh(self, request_id: str, size: int) -> None:
        """Note that the answer of an entry, if it is kept, is there and takes so many bytes."""
        if request_id not in self._entries or request_id in self._sizes:
            return
        self._sizes[request_id] = size
        self._bytes += size
        if size > self._most_bytes:
            self._drop(request_id)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._sizes)))

    def _drop(self, request_id: str) -> None:
        self._entries.pop(request_id, None)
        self._bytes -= self._sizes.pop(request_id, 0)

    def _forget(self, now: float) -> None:
        while self._entries:
            request_id, first = next(iter(self._entries.items()))
            if len(self._entries) <= self._most and now - first.at < self._keep_s:
                return
            self._drop(request_id)


def size_of(response: InferenceResponse) -> int:
    """Return about how many bytes an answer takes: its tensors, its members, and its words."""
    tensors = sum(len(tensor.data or b"") for tensor in response.outputs)
    told = len(response.explanation or "") + len(response.reason or "")
    return _LEAST + tensors + told + _MEMBER * len(response.members)
