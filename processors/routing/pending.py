"""The requests that wait for an answer, in order of arrival and by when they are due."""

import heapq
from collections.abc import Iterator

from processors.routing.state import Pending
from schemas.inference import InferenceRequest


class Waiting:
    """Pending requests; at most `most` of them, with at most `most_bytes` of input data."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._pending: dict[str, Pending] = {}
        self._due: list[tuple[int, str]] = []
        self._bytes = 0

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._pending

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._pending.values())

    def __len__(self) -> int:
        return len(self._pending)

    def get(self, request_id: str) -> Pending | None:
        """Return a pending request, or None."""
        return self._pending.get(request_id)

    def overload(self) -> str:
        """Return why no further request can wait, or ''."""
        if len(self._pending) >= self._most:
            return f"overloaded: {len(self._pending)} requests are pending"
        if self._bytes >= self._most_bytes:
            return f"overloaded: requests with {self._bytes} bytes of input are pending"
        return ""

    def add(self, pending: Pending) -> None:
        """Let a request wait."""
        request_id = pending.request.request_id
        self._pending[request_id] = pending
        self._bytes += _size(pending.request)
        heapq.heappush(self._due, (pending.answer_at, request_id))

    def remove(self, pending: Pending) -> None:
        """End the waiting of a request."""
        del self._pending[pending.request.request_id]
        self._bytes -= _size(pending.request)

    def oldest(self) -> Pending | None:
        """Return the request that came first."""
        return next(iter(self._pending.values()), None)

    def next_due(self) -> int | None:
        """Return when (ms) the next answer is due."""
        while self._due:
            answer_at, request_id = self._due[0]
            pending = self._pending.get(request_id)
            if pending is not None and pending.answer_at == answer_at:
                return answer_at
            heapq.heappop(self._due)
        return None

    def take_due(self, now_ms: int) -> Iterator[Pending]:
        """Yield the requests to be answered now, earliest first; each is to be removed."""
        while (due := self.next_due()) is not None and due <= now_ms:
            yield self._pending[heapq.heappop(self._due)[1]]


def _size(request: InferenceRequest) -> int:
    return sum(len(tensor.data or b"") for tensor in request.inputs)
