"""How much a host may write of its states: a token bucket. Pure; times in ms, sizes in bytes.

Half a megabyte a second on average. What is saved up while little is written pays for
half a second's worth at once, so that small states delay no commit, and large ones
the next by half a second at most.
"""

LONGEST_WAIT_MS = 500
BYTES_PER_MS = 512
SAVED_BYTES = LONGEST_WAIT_MS * BYTES_PER_MS


class SnapshotBudget:
    """Full in the beginning."""

    def __init__(self) -> None:
        self._left = SAVED_BYTES
        self._at_ms = 0

    def spend(self, size: int, now_ms: int) -> int:
        """Count states of a size as written; return when the next ones may be.

        A clock that went back earns nothing and delays nothing.
        """
        earned = max(0, now_ms - self._at_ms) * BYTES_PER_MS
        left = min(SAVED_BYTES, self._left + earned) - size
        self._left, self._at_ms = max(left, -SAVED_BYTES), now_ms
        return now_ms + max(0, -self._left) // BYTES_PER_MS
