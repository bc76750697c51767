"""Whether a series has moved for good: a two-sided CUSUM (Page 1954). Pure."""


class Cusum:
    """Sums what exceeds `drift` on either side; a sum above `threshold` is a change.

    With values that are logarithms of a ratio, the defaults pass over one value of twice the
    usual, and see a slow-down to 1.5 times within four values and to twice within two.
    """

    def __init__(self, drift: float = 0.12, threshold: float = 0.8) -> None:
        self._drift = drift
        self._threshold = threshold
        self._up: list[float] = []
        self._down: list[float] = []
        self._sums = [0.0, 0.0]

    def moved(self, value: float) -> float | None:
        """Take a value; return the mean since the change began when there was one, else None."""
        for side, (sign, since) in enumerate(((1.0, self._up), (-1.0, self._down))):
            self._sums[side] = max(0.0, self._sums[side] + sign * value - self._drift)
            if self._sums[side] == 0.0:
                since.clear()
                continue
            since.append(value)
            if self._sums[side] > self._threshold and len(since) > 1:
                mean = sum(since) / len(since)
                self.reset()
                return mean
        return None

    def reset(self) -> None:
        """Forget what was summed."""
        self._sums = [0.0, 0.0]
        self._up.clear()
        self._down.clear()
