"""The answers that were given, for as long as a repeated request must get the same one again.

weir.responses is the durable copy: a router reads its own answers back from there, so that a
restarted one knows what its predecessor answered.
"""

from collections import OrderedDict

from processors.routing.state import Answer
from schemas.codec import pack, unpack_plain
from schemas.files import text
from schemas.inference import InferenceResponse
from schemas.introspect import from_plain


class Answers:
    """Given answers by request id, oldest first; at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._given: OrderedDict[str, Answer] = OrderedDict()

    def give(self, request_id: str, body: bytes, expires_at: int, now_ms: int) -> None:
        """Remember an answer, as Avro, and forget those whose time is over or that are too many."""
        self._store(request_id, body, expires_at, -1, now_ms)

    def read_back(
        self, response: InferenceResponse, offset: int, expires_at: int, now_ms: int
    ) -> None:
        """Note that an answer stands at an offset of weir.responses; it may be news."""
        if not self.recognised(response.request_id, offset) and expires_at > now_ms:
            self._store(response.request_id, pack(response), expires_at, offset, now_ms)

    def recognised(self, request_id: str, offset: int) -> bool:
        """Note where an answer stands that is remembered; False for one that is not."""
        known = self._given.get(request_id)
        if known is None:
            return False
        if known.offset < 0:
            known.offset = offset
        return True

    def get(self, request_id: str, now_ms: int) -> InferenceResponse | None:
        """Return the answer to a request, unless its time is over."""
        known = self._given.get(request_id)
        if known is None or known.expires_at <= now_ms:
            return None
        writer = text("InferenceResponse")
        found: InferenceResponse = from_plain(InferenceResponse)(
            unpack_plain(known.body, writer, InferenceResponse)
        )
        return found

    def oldest_offset(self) -> int | None:
        """Return the offset of the oldest answer that was read back and is still remembered."""
        offsets = (answer.offset for answer in self._given.values() if answer.offset >= 0)
        return next(offsets, None)

    def all(self) -> tuple[Answer, ...]:
        """Return all answers for a snapshot, oldest first."""
        return tuple(self._given.values())

    def restore(self, answers: tuple[Answer, ...]) -> None:
        """Take over answers."""
        self._given = OrderedDict((answer.request_id, answer) for answer in answers)

    def _store(
        self, request_id: str, body: bytes, expires_at: int, offset: int, now_ms: int
    ) -> None:
        self._given.pop(request_id, None)
        self._given[request_id] = Answer(
            request_id=request_id, expires_at=expires_at, offset=offset, body=body
        )
        while len(self._given) > self._most or self._head().expires_at <= now_ms:
            self._given.popitem(last=False)

    def _head(self) -> Answer:
        return next(iter(self._given.values()))
