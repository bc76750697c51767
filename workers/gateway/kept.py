"""Answers for who asks later, and for repeats of a key: bounded in number and time. Times in s."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from schemas.inference import InferenceResponse


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
    """Entries by request id, oldest first; at most `most`, each for `keep_s` seconds."""

    def __init__(self, most: int, keep_s: float) -> None:
        self._most, self._keep_s = most, keep_s
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def get(self, request_id: str, now: float) -> Entry | None:
        """Return an entry whose time is not over."""
        self._forget(now)
        return self._entries.get(request_id)

    def put(self, request_id: str, entry: Entry) -> None:
        """Keep an entry; the oldest goes when there are too many."""
        self._entries[request_id] = entry
        self._entries.move_to_end(request_id)
        self._forget(entry.at)

    def _forget(self, now: float) -> None:
        while self._entries:
            first = next(iter(self._entries.values()))
            if len(self._entries) <= self._most and now - first.at < self._keep_s:
                return
            self._entries.popitem(last=False)
