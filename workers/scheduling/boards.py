"""A heap of names by keys that change. Pure."""

import heapq
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=tuple[object, ...])


class Board(Generic[Key]):
    """Names in order of their keys; setting, dropping and the first each cost O(log n).

    What a changed key leaves behind is passed over when it comes up, and swept out before it
    outnumbers what is current. Keys are tuples that differ, so that ties are settled by them.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[Key, str]] = []
        self._keys: dict[str, Key] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def set(self, name: str, key: Key) -> None:
        """Give a name its place."""
        heap, former = self._heap, self._keys.get(name)
        if former == key:
            return
        self._keys[name] = key
        if heap and heap[0][0] is former:
            heapq.heapreplace(heap, (key, name))
            return
        heapq.heappush(heap, (key, name))
        if len(self._heap) > 2 * len(self._keys) + 64:
            self._heap = [(key, name) for name, key in self._keys.items()]
            heapq.heapify(self._heap)

    def drop(self, name: str) -> None:
        """Take a name off; unknown ones are nobody's business."""
        self._keys.pop(name, None)

    def first(self) -> tuple[Key, str] | None:
        """Return the smallest key and its name; None when empty."""
        heap, keys = self._heap, self._keys
        while heap:
            entry = heap[0]
            if keys.get(entry[1]) is entry[0]:
                return entry
            heapq.heappop(heap)
        return None

    def some(self, most: int) -> list[tuple[Key, str]]:
        """Return up to `most` entries, smallest first, at O(log n) each."""
        taken: list[tuple[Key, str]] = []
        while len(taken) < most and (entry := self.first()) is not None:
            taken.append(heapq.heappop(self._heap))
        for entry in taken:
            heapq.heappush(self._heap, entry)
        return taken
