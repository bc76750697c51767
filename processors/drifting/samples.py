"""Two samples: whether they are of one distribution, and how far apart they are.

Kolmogorov-Smirnov with the asymptotic distribution as Stephens corrects it (J. R. Stat. Soc. B 32,
1970); the population stability index over tenths of the reference and what lies outside of it,
whose chance of coming about in one distribution follows from that of chi square (Yurdakul,
"Statistical properties of population stability index", 2018); the maximum mean discrepancy under a
Gaussian kernel whose width is the median distance, with a gamma for what it is in one distribution
(Gretton et al., "A kernel two-sample test", JMLR 13, 2012). Gamma and chi square by Wilson and
Hilferty's cube root (1931).
"""

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BINS = 10
_TERMS = 20
_LEAST = 1e-300


def normal_p(z: float) -> float:
    """Return the probability that a standard normal is above `z`."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def gamma_p(value: float, shape: float, scale: float) -> float:
    """Return the probability that a gamma is above a value, to some two digits."""
    if value <= 0.0:
        return 1.0
    root = (value / (shape * scale)) ** (1.0 / 3.0)
    return normal_p((root - 1.0 + 1.0 / (9.0 * shape)) * 3.0 * math.sqrt(shape))


def chi_square_p(value: float, degrees: int) -> float:
    """Return the probability that chi square is above a value."""
    return gamma_p(value, degrees / 2.0, 2.0)


def ks(reference: Floats, current: Floats) -> float:
    """Return the greatest distance between the distributions of two samples, 0 to 1.

    Each has one value or more, none of them NaN; ties are no trouble.
    """
    both = np.concatenate((reference, current))
    first = np.searchsorted(np.sort(reference), both, side="right") / len(reference)
    second = np.searchsorted(np.sort(current), both, side="right") / len(current)
    return float(np.abs(first - second).max())


def ks_p(distance: float, first: int, second: int) -> float:
    """Return how likely samples of these sizes of one distribution are so far apart.

    With ties it is more than the truth.
    """
    root = math.sqrt(first * second / (first + second))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    total = math.fsum((-1.0) ** (k - 1) * math.exp(-2.0 * (k * x) ** 2) for k in range(1, _TERMS))
    return float(min(1.0, max(_LEAST, 2.0 * total)))


def tenths(reference: Floats) -> Floats:
    """Return the edges of bins that hold a tenth of a sample each, and of those outside of it.

    Where values tie there are fewer.
    """
    inner = np.quantile(reference, np.arange(BINS + 1) / BINS)
    inner[0] = np.nextafter(inner[0], -np.inf)
    distinct: Floats = np.unique(inner)
    return distinct


def binned(values: Floats, edges: Floats) -> Floats:
    """Return how many values are in each bin: up to the first edge, ... beyond the last."""
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return counts.astype(np.float64)


def psi(reference: Floats, current: Floats) -> float:
    """Return the population stability index of counts per bin; half a count is added to each."""
    p = (reference + 0.5) / (reference + 0.5).sum()
    q = (current + 0.5) / (current + 0.5).sum()
    return float(np.sum((q - p) * np.log(q / p)))


def psi_p(index: float, first: int, second: int, bins: int) -> float:
    """Return how likely the index of samples of these sizes is so large in one distribution."""
    if bins < 2:
        return 1.0
    return chi_square_p(index * first * second / (first + second), bins - 1)


def mmd(reference: Floats, current: Floats) -> tuple[float, float]:
    """Return the squared discrepancy of two samples of vectors (rows), and its probability.

    Samples are cut to the length of the shorter; below four rows nothing can be told. Columns are
    brought to the spread of the reference, the constant ones to that of both.
    """
    count = min(len(reference), len(current))
    if count < 4:
        return 0.0, 1.0
    spread = reference.std(axis=0)
    both = np.vstack((reference, current)).std(axis=0)
    scale = np.where(spread > 1e-9 * (1.0 + both), spread, np.where(both > 0.0, both, 1.0))
    x, y = reference[-count:] / scale, current[-count:] / scale
    squares = _squares(np.vstack((x, y)))
    above = squares[np.triu_indices(2 * count, 1)]
    middle = float(np.median(above))
    width = middle if middle > 0.0 else float(above.mean())
    if width <= 0.0:
        return 0.0, 1.0
    kernel = np.exp(-squares / width)
    return _discrepancy(kernel[:count, :count], kernel[count:, count:], kernel[:count, count:])


def _discrepancy(within: Floats, other: Floats, across: Floats) -> tuple[float, float]:
    """Return the biased estimate and its probability, from kernels of samples of one size."""
    count = len(within)
    found = float(within.mean() + other.mean() - 2.0 * across.mean())
    mean = 2.0 / count * (1.0 - float(np.diag(across).mean()))
    joint = within + other - across - across.T
    np.fill_diagonal(joint, 0.0)
    variance = 2.0 * float((joint**2).sum()) / (count * (count - 1)) ** 2
    if mean <= 0.0 or variance <= 0.0:
        return max(0.0, found), 1.0
    return max(0.0, found), gamma_p(found, mean**2 / variance, variance / mean)


def _squares(rows: Floats) -> Floats:
    lengths = (rows**2).sum(axis=1)
    squares: Floats = np.maximum(lengths[:, None] + lengths - 2.0 * rows @ rows.T, 0.0)
    return squares
