"""Which partitions stand still although something waits there to be read. Pure."""

from collections.abc import Collection, Mapping

from schemas.processing import Partition


class Standstill:
    """Compares positions, look by look; times are seconds on any one clock."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._last: dict[Partition, int] = {}
        self._since: dict[Partition, float] = {}

    def quiet(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return the partitions whose position is what it was at the last look."""
        same = {at: offset for at, offset in positions.items() if self._last.get(at) == offset}
        self._last = dict(positions)
        self._since = {at: since for at, since in self._since.items() if at in same}
        return same

    def judge(self, now_s: float, waiting: Collection[Partition]) -> list[Partition]:
        """Return those of the quiet partitions where records have waited for too long.

        `waiting` has those among them with a record at or after the position.
        """
        self._since = {at: self._since.get(at, now_s) for at in waiting}
        return sorted(at for at, t in self._since.items() if now_s - t >= self._patience_s)

    def forget(self) -> None:
        """Suspect nothing any more: nobody could have moved, or nobody could look."""
        self._last, self._since = {}, {}
