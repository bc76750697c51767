"""A table of bounded size that forgets what was used longest ago."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by key in the order of their last use; above `most` the first is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def use(self, key: K, make: Callable[[], V]) -> tuple[V, tuple[K, V] | None]:
        """Return the value of a key, made if there is none, and what was forgotten for it."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key], None
        value = self._values[key] = make()
        forgotten = self._values.popitem(last=False) if len(self._values) > self._most else None
        return value, forgotten

    def get(self, key: K) -> V | None:
        """Return the value of a key, None if there is none; that is no use of it."""
        return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """Set the value of a key and count that as its use."""
        self._values[key] = value
        self._values.move_to_end(key)

    def drop(self, key: K) -> None:
        """Forget a key."""
        del self._values[key]

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield what is kept, the longest unused first."""
        return iter(list(self._values.items()))
