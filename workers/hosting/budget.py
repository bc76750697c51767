"""How much a host may write of its states: a token bucket. Pure; times in ms, sizes in bytes.

Half a megabyte a second on average. What is saved up while little is written pays for
half a second's worth at once, so that small states delay no commit, and large ones
the next by half a second at most.
"""

LONGEST_WAIT_MS = 500
BYTES_PER_MS = 512
SAVED_BYTES = LONGEST_WAIT_MS * BYTES_PER_MS
SOONEST_MS, LATEST_MS = 60_000, 1_800_000
RENEWED_BYTES_PER_MS = 1


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


class Renewals:
    """When the states of instances are written again although nothing has changed.

    A log that is not compacted is read backwards to the newest state of each instance, so what is
    quiet must not fall far behind what others write: after a minute, or after as many ms as a
    state has bytes, half an hour at most. Large ones would fill the log themselves otherwise.
    """

    def __init__(self) -> None:
        self._due: dict[int, int] = {}

    def written(self, index: int, size: int, at_ms: int) -> None:
        """Note the size of an instance's state, and when it was written."""
        self._due[index] = at_ms + max(SOONEST_MS, min(LATEST_MS, size // RENEWED_BYTES_PER_MS))

    def due(self, index: int, now_ms: int) -> bool:
        """Tell whether a state is to be written again; one never written is, a minute from now.

        A clock that went back delays nothing for longer than half an hour.
        """
        at = self._due.setdefault(index, now_ms + SOONEST_MS)
        if at > now_ms + LATEST_MS:
            at = self._due[index] = now_ms + SOONEST_MS
        return at <= now_ms
