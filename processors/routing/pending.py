"""The requests that wait for an answer: in order of arrival, by what is due, by who asked."""

import heapq
from collections import Counter
from collections.abc import Iterator

from processors.routing.state import ASKED, MISSING, Pending
from schemas.inference import InferenceRequest


class Waiting:
    """Pending requests; at most `most` of them, with at most `most_bytes` of input data."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most = most
        self._most_bytes = most_bytes
        self._pending: dict[str, Pending] = {}
        self._due: list[tuple[int, str]] = []
        self._bytes = 0
        self._held: Counter[str] = Counter()
        self._by_priority: dict[int, dict[str, Pending]] = {}
        self._followers: dict[str, list[str]] = {}

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._pending

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._pending.values())

    def __len__(self) -> int:
        return len(self._pending)

    def get(self, request_id: str) -> Pending | None:
        """Return a pending request, or None."""
        return self._pending.get(request_id)

    def held(self, account: str) -> int:
        """Return how many requests of an account wait."""
        return self._held[account]

    def accounts(self) -> tuple[str, ...]:
        """Return whose requests wait."""
        return tuple(self._held)

    def least(self, below: int) -> Pending | None:
        """Return the newest of the least important requests, if less important than `below`."""
        lowest = min(self._by_priority, default=below)
        if lowest >= below:
            return None
        return next(reversed(self._by_priority[lowest].values()))

    def overload(self) -> str:
        """Return why no further request can wait, or ''."""
        if len(self._pending) >= self.most:
            return f"overloaded: {len(self._pending)} requests are pending"
        if self._bytes >= self._most_bytes:
            return f"overloaded: requests with {self._bytes} bytes of input are pending"
        return ""

    def add(self, pending: Pending) -> None:
        """Let a request wait."""
        request = pending.request
        self._pending[request.request_id] = pending
        self._bytes += _size(request)
        self._held[pending.account] += 1
        self._by_priority.setdefault(pending.priority, {})[request.request_id] = pending
        if pending.follows:
            self._followers.setdefault(pending.follows, []).append(request.request_id)
        for at in _times(pending):
            self.remind(pending, at)

    def followers(self, first: str) -> list[Pending]:
        """Return those that wait for the answer of a request, which it has now."""
        found = self._followers.pop(first, ()) if self._followers else ()
        return [self._pending[each] for each in found if each in self._pending]

    def remind(self, pending: Pending, at: int) -> None:
        """Have something of a request come due at a time, ms, which it says itself as well."""
        heapq.heappush(self._due, (at, pending.request.request_id))

    def remove(self, pending: Pending) -> None:
        """End the waiting of a request."""
        request = pending.request
        del self._pending[request.request_id]
        self._bytes -= _size(request)
        self._held[pending.account] -= 1
        if not self._held[pending.account]:
            del self._held[pending.account]
        alike = self._by_priority[pending.priority]
        del alike[request.request_id]
        if not alike:
            del self._by_priority[pending.priority]

    def oldest(self) -> Pending | None:
        """Return the request that came first."""
        return next(iter(self._pending.values()), None)

    def next_due(self) -> int | None:
        """Return when (ms) something is due next."""
        while self._due:
            at, request_id = self._due[0]
            pending = self._pending.get(request_id)
            if pending is not None and at in _times(pending):
                return at
            heapq.heappop(self._due)
        return None

    def take_due(self, now_ms: int) -> Iterator[Pending]:
        """Yield the requests of which something is due now, earliest first."""
        while (due := self.next_due()) is not None and due <= now_ms:
            yield self._pending[heapq.heappop(self._due)[1]]


def _times(pending: Pending) -> Iterator[int]:
    """Yield when something of a request is due, ms."""
    yield pending.answer_at
    for run in pending.runs:
        if run.status == ASKED:
            yield run.due
            for member in run.members:
                if member.hedge_at and member.status == MISSING:
                    yield member.hedge_at


def _size(request: InferenceRequest) -> int:
    return sum(len(tensor.data or b"") for tensor in request.inputs)
