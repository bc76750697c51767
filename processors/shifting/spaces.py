"""The inputs, or the outputs, of a service as samples of vectors: a reference, and what came last.

filling the reference --full--> comparing windows --one differs--> warned, a warning told
warned --the next differs, too--> a drift told, that window is the new reference
       --it does not-->           dismissal told, comparing windows
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.drifting.changes import (
    CONFIRMED,
    DISMISSED,
    GRADUAL,
    INCREMENTAL,
    RECURRING,
    SUDDEN,
    WARNING,
)
from processors.drifting.concepts import SLOPE, Past
from processors.drifting.samples import Floats
from processors.shifting.judging import LABEL, Verdict, judged

Ints = npt.NDArray[np.int64]
_REMEMBERED = 8
_NEAR = 0.2
"""How near a remembered concept must be, as a share of the change."""
_GAIN = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Vectors of the reference, and of each window that is compared with it."""

    reference: int = 200
    window: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A concept that held once: the offset of its first vector, and the mean of its vectors."""

    first: int
    means: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceState:
    """A space as state; arrays are little-endian, one vector after the other."""

    names: tuple[str, ...]
    vectors: bytes
    places: bytes
    warned: tuple[int, ...]
    began: int
    known: tuple[Known, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What is told: of which status and kind, on what verdict, and the vectors on both sides.

    `places` are time (ms) and offset of the vectors `after`. `concept` and `recurs` are the
    offsets with which the concept that holds now, and the earlier one that it is again, began.
    """

    status: str
    kind: str
    verdict: Verdict | None
    names: tuple[str, ...]
    before: Floats
    after: Floats
    places: Ints
    warned: tuple[int, ...] = ()
    concept: int | None = None
    recurs: int | None = None


class Space:
    """Vectors of one service, of which each has a value per name, NaN where there is none."""

    def __init__(self, sizes: Sizes, names: tuple[str, ...]) -> None:
        self._sizes = sizes
        self.names = names
        self._vectors: Floats = np.zeros((sizes.reference + 2 * sizes.window, len(names)))
        self._places: Ints = np.zeros((len(self._vectors), 2), np.int64)
        self._filled = 0
        self._warned: tuple[int, ...] = ()
        self._began = -1
        self._known: tuple[Known, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it has taken no vector yet."""
        return self._began < 0

    @property
    def size(self) -> int:
        """The bytes of its state when it is full, but for its names."""
        return self._vectors.nbytes + self._places.nbytes

    def add(
        self, vector: Sequence[float], time: int, offset: int, test: str, significance: float
    ) -> Change | None:
        """Take a vector; return what is to be told."""
        at = self._filled
        self._vectors[at] = vector
        self._places[at] = time, offset
        if self._began < 0:
            self._began = offset
        self._filled += 1
        windows = self._filled - self._sizes.reference
        full = self._sizes.window * (2 if self._warned else 1)
        return self._compare(test, significance) if windows == full else None

    def _compare(self, test: str, significance: float) -> Change | None:
        size, end = self._sizes.reference, self._filled
        reference, current = self._vectors[:size], self._vectors[end - self._sizes.window : end]
        verdict = judged(self.names, reference, current, test, significance)
        if verdict is None:
            change = self._change(DISMISSED, None) if self._warned else None
            self._filled, self._warned = size, ()
            return change
        if self._warned:
            return self._confirmed(verdict)
        change = self._change(WARNING, verdict)
        self._warned = (int(self._places[size, 1]), int(self._places[end - 1, 1]))
        return change

    def _change(self, status: str, verdict: Verdict | None) -> Change:
        size, end = self._sizes.reference, self._filled
        return Change(
            status,
            SUDDEN,
            verdict,
            self.names,
            self._vectors[:size].copy(),
            self._vectors[size:end].copy(),
            self._places[size:end].copy(),
            self._warned,
        )

    def _confirmed(self, verdict: Verdict) -> Change:
        start = self._start(verdict)
        before, after = self._vectors[:start].copy(), self._vectors[start : self._filled].copy()
        places = self._places[start : self._filled].copy()
        again = self._again(before, after)
        kind = RECURRING if again is not None else self._kind(verdict)
        left = Known(first=self._began, means=_means(before))
        self._began = again.first if again is not None else int(places[0, 1])
        others = [one for one in self._known if one.first != left.first]
        self._known = (*others, left)[-_REMEMBERED:]
        warned = self._warned
        self._renew(after, places)
        return Change(
            CONFIRMED,
            kind,
            verdict,
            self.names,
            before,
            after,
            places,
            warned,
            self._began,
            None if again is None else again.first,
        )

    def _renew(self, after: Floats, places: Ints) -> None:
        """Let what came after the change be the beginning of a new reference."""
        kept = min(len(after), self._sizes.reference)
        self._vectors[:kept], self._places[:kept] = after[-kept:], places[-kept:]
        self._filled, self._warned = kept, ()

    def _past(self, verdict: Verdict) -> Past | None:
        """Return the values of the strongest numeric feature as a past; None of none."""
        named = (self.names.index(one.feature) for one in verdict.shifts
                 if one.feature in self.names and one.feature != LABEL)  # fmt: skip
        column = next(named, None)
        if column is None:
            return None
        past, values = Past(self._filled), self._vectors[: self._filled, column]
        rows = np.flatnonzero(np.isfinite(values)).tolist()
        past.extend(rows, rows, values[rows].tolist())
        return past

    def _start(self, verdict: Verdict) -> int:
        """Return the first vector of the new concept: where the strongest feature changed."""
        past = self._past(verdict)
        cut = None if past is None else past.cut()
        size = self._sizes.reference
        near = cut is not None and size // 2 <= cut.first <= self._filled - self._sizes.window
        return cut.first if cut is not None and near else size

    def _kind(self, verdict: Verdict) -> str:
        past = self._past(verdict)
        cut = None if past is None else past.cut()
        if past is None or cut is None or cut.after.count < SLOPE * 8:
            return SUDDEN
        if past.slope_gain() <= _GAIN:
            return SUDDEN
        return GRADUAL if past.mixes(cut) else INCREMENTAL

    def _again(self, before: Floats, after: Floats) -> Known | None:
        """Return the concept of old that is nearest to the new one, if it is near."""
        now, then = np.array(_means(after)), np.array(_means(before))
        scale = np.maximum(np.where(np.isfinite(before), before, then).std(axis=0), 1e-12)
        change = float(np.linalg.norm((now - then) / scale))

        def distance(one: Known) -> float:
            return float(np.linalg.norm((now - np.array(one.means)) / scale))

        nearest = min(self._known, key=distance, default=None)
        return nearest if nearest is not None and distance(nearest) <= _NEAR * change else None

    def state(self) -> SpaceState:
        """Return it as state."""
        return SpaceState(
            names=self.names,
            vectors=self._vectors[: self._filled].astype("<f8").tobytes(),
            places=self._places[: self._filled].astype("<i8").tobytes(),
            warned=self._warned,
            began=self._began,
            known=self._known,
        )

    @classmethod
    def of(cls, sizes: Sizes, state: SpaceState) -> "Space":
        """Return a space that was saved."""
        one = cls(sizes, state.names)
        places = np.frombuffer(state.places, "<i8").reshape(-1, 2)
        one._filled = len(places)
        one._places[: len(places)] = places
        vectors = np.frombuffer(state.vectors, "<f8").reshape(len(places), len(state.names))
        one._vectors[: len(places)] = vectors
        one._warned, one._began, one._known = state.warned, state.began, state.known
        return one


def _means(rows: Floats) -> tuple[float, ...]:
    known = np.isfinite(rows)
    sums = np.where(known, rows, 0.0).sum(axis=0)
    means: list[float] = (sums / np.maximum(known.sum(axis=0), 1)).tolist()
    return tuple(means)
