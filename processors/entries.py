"""What a processor calls the series of its batches, by the numbers that the decoder gave them."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
UNKNOWN = -1


class Entries:
    """From `_entry` of `schemas.processing.Columns` to numbers of one's own.

    The lower 32 bits of an entry are a place in the decoder's table, the others change when that
    is filled anew: then nothing is known any more.
    """

    def __init__(self) -> None:
        self._base = -1
        self._numbers: Ints = np.empty(0, np.int64)

    def find(self, entries: Ints) -> Ints:
        """Return what was noted of each entry, UNKNOWN where nothing was."""
        base, places = int(entries[0]) >> 32, entries & 0xFFFFFFFF
        if base != self._base:
            self._base, self._numbers = base, np.empty(0, np.int64)
        if (top := int(places.max())) >= len(self._numbers):
            known = self._numbers
            self._numbers = np.full(2 * top + 2, UNKNOWN)
            self._numbers[: len(known)] = known
        numbers: Ints = self._numbers[places]
        return numbers

    def note(self, entries: Ints, numbers: Ints) -> None:
        """Note the numbers of entries, all of which `find` was asked for last."""
        self._numbers[entries & 0xFFFFFFFF] = numbers

    def forget(self) -> None:
        """Forget all."""
        self._base = -1
