"""The recent past of one series in blocks, and where in it a new concept begins.

ADWIN tells that a mean has changed. Where it changed is estimated here: the place between two
blocks at which the squared difference of the means before and after, weighted by n0 n1 / (n0 +
n1), is greatest. That is the maximum-likelihood change point of a mean under equal variances
(Hinkley, "Inference about the change-point in a sequence of random variables", Biometrika 57,
1970). ADWIN's own window is no good guide: River drops one bucket at a time, and at the first
detection hundreds of events of the old concept are still inside.

Sums are taken in a fixed order, so that batches may be cut anywhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

BLOCK = 8
"""Events of a full block."""
MANY = 16
"""Full blocks from which on numpy is quicker than plain Python."""
SLOPE = 12
"""Blocks that a slope lasts at least; a shorter one cannot be told from a jump."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Count, sum and sum of squares of some events."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """The mean, 0 of none."""
        return self.total / self.count if self.count else 0.0

    @property
    def std(self) -> float:
        """The population standard deviation, 0 of none."""
        if not self.count:
            return 0.0
        return math.sqrt(max(0.0, self.squares / self.count - self.mean**2))

    def plus(self, other: "Moments") -> "Moments":
        """Return the moments of both together."""
        return Moments(
            count=self.count + other.count,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """A change point: block number, event time and offset of the first event after it."""

    block: int
    since: int
    first: int
    before: Moments
    after: Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class PastState:
    """A past as state; arrays are little-endian."""

    head: Moments
    places: bytes
    sums: bytes
    tail: tuple[float, ...]
    tail_time: int
    tail_offset: int


@dataclass(slots=True)
class Past:
    """Blocks of BLOCK events, oldest first; what came before them is summed up in `head`.

    `tail` holds the values of the block that is not full yet. `events` counts what came since
    something was forgotten.
    """

    keep: int
    head: Moments = field(default_factory=Moments)
    places: list[tuple[int, int]] = field(default_factory=list)
    sums: list[tuple[float, float]] = field(default_factory=list)
    tail: list[float] = field(default_factory=list)
    tail_place: tuple[int, int] = (0, 0)
    events: int = 0

    def extend(self, times: Sequence[int], offsets: Sequence[int], values: Sequence[float]) -> None:
        """Append events in their order."""
        self.events += len(values)
        start = min(len(values), (BLOCK - len(self.tail)) % BLOCK)
        if start:
            self.tail.extend(values[:start])
        if len(self.tail) == BLOCK:
            self._append([self.tail_place], [self.tail])
            self.tail = []
        whole = (len(values) - start) // BLOCK * BLOCK
        end = start + whole
        if whole:
            places = list(zip(times[start:end:BLOCK], offsets[start:end:BLOCK], strict=True))
            self._append(places, [values[i : i + BLOCK] for i in range(start, end, BLOCK)])
        if end < len(values):
            self.tail = list(values[end:])
            self.tail_place = (times[end], offsets[end])

    def _append(self, places: list[tuple[int, int]], blocks: list[Sequence[float]]) -> None:
        self.places.extend(places)
        self.sums.extend(_sums(blocks) if len(blocks) < MANY else _many_sums(blocks))
        if len(self.sums) > self.keep:
            for total, square in self.sums[: -self.keep]:
                self.head = self.head.plus(Moments(count=BLOCK, total=total, squares=square))
            del self.places[: -self.keep], self.sums[: -self.keep]

    def cut(self) -> Cut | None:
        """Return the likeliest change point; None while there is no block to cut before."""
        places, blocks = self._blocks()
        if not blocks:
            return None
        counts = np.array([block.count for block in (self.head, *blocks)], dtype=np.float64)
        totals = np.array([block.total for block in (self.head, *blocks)])
        n0, s0 = np.cumsum(counts)[:-1], np.cumsum(totals)[:-1]
        n1, s1 = counts.sum() - n0, totals.sum() - s0
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(n0 > 0, (s0 / n0 - s1 / n1) ** 2 * n0 * n1 / (n0 + n1), -1.0)
        block = int(np.argmax(gain))
        since, first = places[block]
        return Cut(block, since, first, _sum([self.head, *blocks[:block]]), _sum(blocks[block:]))

    def cut_before(self, events: int) -> Cut | None:
        """Return the place before so many of the newest events, at the beginning of a block.

        None while nothing is known from before them.
        """
        places, blocks = self._blocks()
        block, held = len(blocks), 0
        while block and held < events:
            block -= 1
            held += blocks[block].count
        if held < events or not (block or self.head.count):
            return None
        since, first = places[block]
        return Cut(block, since, first, _sum([self.head, *blocks[:block]]), _sum(blocks[block:]))

    def first(self) -> int:
        """Return the offset of the oldest event whose place is known; 0 of none."""
        places, _ = self._blocks()
        return places[0][1] if places else 0

    def mixes(self, cut: Cut) -> bool:
        """Return whether what follows a cut jumps between old and new, not climbs through.

        Within blocks the values of a mixture spread by up to a sixth of the squared change more
        than before, those of a climb do not. Where chance hides that, it is taken to be a mixture.
        """
        _, blocks = self._blocks()
        old, new = _within(blocks[: cut.block]), _within(blocks[cut.block :])
        change = (blocks[-1].mean - cut.before.mean) ** 2 / 12.0
        return new - old > change or change < 0.3 * old

    def slope_gain(self) -> float:
        """Return by how much a mean that climbs fits the blocks better than one that jumps.

        The difference of the best log-likelihoods under equal variances: of a constant that turns
        into a slope at some block, SLOPE or more before the end, and of a constant that jumps at
        some block. Minus infinity where there are too few blocks.
        """
        _, blocks = self._blocks()
        if len(blocks) <= SLOPE:
            return -math.inf
        counts = np.array([block.count for block in blocks], dtype=np.float64)
        means = np.array([block.mean for block in blocks])
        place = np.arange(len(blocks))
        since = place[:, None] - place[None, 1:]
        jump = _residual(counts, means, (since >= 0).astype(np.float64))
        slopes = np.maximum(since + 1, 0)[:, : len(blocks) - SLOPE]
        climb = _residual(counts, means, slopes.astype(np.float64))
        total = _sum(blocks)
        within = total.squares - float(counts @ means**2)
        variance = max((within + min(jump, climb)) / total.count, 1e-12)
        return (jump - climb) / (2 * variance)

    def forget(self, cut: Cut) -> None:
        """Drop what came before a cut that was made of this past."""
        self.head = Moments()
        self.events = 0
        del self.places[: cut.block], self.sums[: cut.block]

    def _blocks(self) -> tuple[list[tuple[int, int]], list[Moments]]:
        blocks = [Moments(count=BLOCK, total=total, squares=sq) for total, sq in self.sums]
        if not self.tail:
            return self.places, blocks
        rest = Moments(
            count=len(self.tail),
            total=math.fsum(self.tail),
            squares=math.fsum(value**2 for value in self.tail),
        )
        return [*self.places, self.tail_place], [*blocks, rest]


def _sums(blocks: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return the sum and the sum of squares of each block, added up from its first value on."""
    found = []
    for block in blocks:
        total = square = 0.0
        for value in block:
            total += value
            square += value * value
        found.append((total, square))
    return found


def _many_sums(blocks: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return the same, to the last bit."""
    total, squares = np.zeros(len(blocks)), np.zeros(len(blocks))
    with np.errstate(over="ignore"):
        for column in np.asarray(blocks, dtype=np.float64).T:
            total += column
            squares += column * column
    return list(zip(total.tolist(), squares.tolist(), strict=True))


def _within(blocks: Sequence[Moments]) -> float:
    """Return the mean variance within blocks; 0 of none."""
    count = sum(block.count for block in blocks)
    return sum(block.count * block.std**2 for block in blocks) / count if count else 0.0


def _residual(counts: Floats, means: Floats, shapes: Floats) -> float:
    """Return the least squared residual of means, weighted by counts, over shapes (columns).

    Each shape gives a line fit: level + slope * shape.
    """
    weight = counts / counts.sum()
    centre = weight @ means
    shape = shapes - weight @ shapes
    across = (weight * (means - centre)) @ shape
    spread = weight @ shape**2
    explained = np.where(spread > 0, across**2 / np.maximum(spread, 1e-300), 0.0)
    whole = weight @ (means - centre) ** 2
    return float((whole - explained.max()) * counts.sum())


def _sum(parts: Sequence[Moments]) -> Moments:
    return Moments(
        count=sum(part.count for part in parts),
        total=math.fsum(part.total for part in parts),
        squares=math.fsum(part.squares for part in parts),
    )
