"""Two weights found by trying: DREAM's local search for the least UXCost. Pure."""

from dataclasses import dataclass

_LEAST, _MOST = 0.0, 2.0
_FIRST_STEP, _LAST_STEP = 0.5, 0.0625
_TINY_MS = 1e-6
Weights = tuple[float, float]


@dataclass(slots=True)
class _Seen:
    """What became of one service's frames in a window; times in ms."""

    frames: int = 0
    missed: int = 0
    took_ms: float = 0.0
    worst_ms: float = _TINY_MS

    @property
    def rate(self) -> float:
        """Return the share of missed deadlines; half a frame where none was missed."""
        return self.missed / self.frames if self.missed else 1.0 / (2 * self.frames)

    @property
    def energy(self) -> float:
        """Return the energy over that of the worst case, both in proportion to time."""
        return self.took_ms / (self.frames * self.worst_ms)


class Tuner:
    """Tries the neighbours of a pair of weights, each for a window of frames, and keeps the best.

    Where no neighbour is better the step is halved, down to a sixteenth; the search begins again
    when the cost of what was kept doubles or halves: the work has changed. UXCost is the sum of
    the services' rates of missed deadlines times the sum of their normalised energies.
    """

    def __init__(self, weights: Weights, window: int) -> None:
        self.weights = weights
        self._window = window
        self._kept = weights
        self._kept_cost = 0.0
        self._best: tuple[float, Weights] | None = None
        self._step = _FIRST_STEP
        self._trials: list[Weights] = []
        self._seen: dict[str, _Seen] = {}
        self._frames = 0

    def outcome(self, service: str, took_ms: float, *, in_time: bool) -> None:
        """Take note of a frame that was executed, for so long, or ended otherwise."""
        seen = self._seen.setdefault(service, _Seen())
        seen.frames += 1
        seen.missed += not in_time
        seen.took_ms += took_ms
        seen.worst_ms = max(seen.worst_ms, took_ms)
        self._frames += 1
        if self._frames >= self._window:
            self._judge(self._cost())
            self._seen = {}
            self._frames = 0

    def _cost(self) -> float:
        each = self._seen.values()
        return sum(one.rate for one in each) * sum(one.energy for one in each)

    def _judge(self, cost: float) -> None:
        """Go on to the next trial, or to the next round of them."""
        if self._best is None:
            self._begin(cost)
        elif cost < self._best[0]:
            self._best = (cost, self.weights)
        if self._trials:
            self.weights = self._trials.pop()
            return
        if self._best is not None:
            self._kept_cost, best = self._best
            self._step = self._step if best != self._kept else self._step / 2
            self._kept = best
        self.weights, self._best = self._kept, None

    def _begin(self, cost: float) -> None:
        """Begin a round of trials around what is kept, unless all is as it should be."""
        changed = not 0.5 * self._kept_cost <= cost <= 2.0 * self._kept_cost
        if self._step < _LAST_STEP and not changed:
            return
        if self._step < _LAST_STEP:
            self._step = _FIRST_STEP
        self._best = (cost, self._kept)
        alpha, beta = self._kept
        steps = ((self._step, 0.0), (-self._step, 0.0), (0.0, self._step), (0.0, -self._step))
        near = [(_within(alpha + a), _within(beta + b)) for a, b in steps]
        self._trials = [weights for weights in near if weights != self._kept]


def _within(weight: float) -> float:
    return min(_MOST, max(_LEAST, weight))
