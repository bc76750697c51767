"""How long executions take per service, variant, device and batch size, learned online. Pure."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workers.scheduling.changes import Cusum
from workers.scheduling.terms import Terms
from workers.scheduling.windows import Window

UNDECLARED_MS = 5.0
"""What a service is expected to take of which nothing is known."""
_JUDGED = 8
"""Of fewer times nobody can tell whether they have changed."""
_CALM = 0.2
"""Times that stray by more than this (standard deviation of the logarithm) are scaled to it."""
_TINY_MS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileParams:
    """`typical` and `careful` are quantiles of the latest `window` times.

    A declared time counts as `weight` observed ones, and is replaced by the first that are.
    """

    typical: float = 0.5
    careful: float = 0.75
    window: int = 32
    weight: int = 3


class Profile:
    """Times of one service on one device.

    `typical_ms` and `careful_ms` are those of one job alone, as `typical` and `careful` tell them;
    `moves` counts how often any have changed.
    The first execution after loading is kept out: it is cold. A lasting change (the device
    throttles, or recovers) is seen in the ratio of observed and typical time, whatever the batch
    size, measured by how much times stray anyway; it moves what is known of every size by the
    same factor, but never beyond what the last execution took: how much times stray may have been
    another thing for each of those that made up the change. Sizes that are moved so, and not seen
    since, are taken to cost no more a job than one that is seen: else each burst of stalls would
    multiply what is expected of them, and nothing take it back.
    """

    def __init__(self, params: ProfileParams, declared: Mapping[int, float], cold_ms: float | None):
        self._params = params
        self._trusted = bool(declared)
        seeds = dict(declared) or {1: UNDECLARED_MS}
        self._windows = {size: self._seeded(took) for size, took in seeds.items()}
        self._changes = Cusum()
        self._moved: set[int] = set()
        self._cold = True
        self._cold_ms = cold_ms
        self.moves = 0
        self._typical: dict[int, float] = {}
        self._careful: dict[int, float] = {}
        self._settle(self._windows)

    def typical(self, size: int = 1) -> float:
        """Return the time (ms) that half of all batches of this size do not exceed."""
        found = self._typical.get(size)
        return between(self._typical, self._sizes, size) if found is None else found

    def careful(self, size: int = 1) -> float:
        """Return the time (ms) to count on; the first execution counts as cold when declared."""
        if self._cold and self._cold_ms is not None:
            return self._cold_ms
        found = self._careful.get(size)
        return between(self._careful, self._sizes, size) if found is None else found

    def chance(self, left_ms: float, size: int = 1) -> float:
        """Return the share of executions of this size that took no longer than so many ms.

        All or none where there is no share to tell: of sizes that were not seen, and of the first
        execution where it is declared as cold.
        """
        window = None if self._cold and self._cold_ms is not None else self._windows.get(size)
        if window is None:
            return float(self.careful(size) <= left_ms)
        return window.share(left_ms)

    def possible(self, left_ms: float) -> bool:
        """Tell whether any recent execution of one job took no longer than so many ms."""
        return self.careful_ms <= left_ms or self.chance(left_ms) > 0.0

    def loaded(self) -> None:
        """Take it that the model was loaded anew: the next execution is cold."""
        self._cold = True
        self.careful_ms = self.careful()
        self.moves += 1

    def learn(self, size: int, took_ms: float) -> bool:
        """Take an execution into account; True when predictions have changed.

        Raises ValueError for a time that is none.
        """
        if not 0.0 <= took_ms < math.inf:
            raise ValueError(f"an execution cannot have taken {took_ms} ms")
        if self._cold:
            self._cold = False
            self.careful_ms = self.careful()
            self.moves += 1
            return self._cold_ms is not None
        if not self._trusted:
            self._trusted = True
            self._windows, self._typical, self._careful = {}, {}, {}
        window = self._windows.get(size)
        if window is None:
            window = self._windows[size] = Window(self._params.window)
        elif self._typical_moved(window, size, took_ms):
            return True
        window.add(took_ms)
        self._moved.discard(size)
        return self._settle((size,)) | self._bound(size)

    def _typical_moved(self, window: Window, size: int, took_ms: float) -> bool:
        if len(window) < _JUDGED:
            return False
        spread = _ratio(window.quantile(0.84), window.quantile(0.16)) / 2.0
        noise = spread / _CALM if spread > _CALM else 1.0
        seen = _ratio(took_ms, self._typical[size])
        moved = self._changes.moved(seen / noise)
        if moved is None:
            return False
        factor = math.exp(max(min(0.0, seen), min(max(0.0, seen), moved * noise)))
        self._windows = {
            known: self._seeded(window.quantile(self._params.typical) * factor)
            for known, window in self._windows.items()
        }
        self._moved = self._windows.keys() - {size}
        self._settle(self._windows)
        return True

    def _bound(self, size: int) -> bool:
        """Let moved sizes cost no more a job than the one just seen; True when one changes."""
        most = {known: self._typical[size] * max(1.0, known / size) for known in self._moved}
        over = [known for known, most_ms in most.items() if self._typical[known] > most_ms]
        self._windows |= {known: self._seeded(most[known]) for known in over}
        return self._settle(over)

    def _seeded(self, took_ms: float) -> Window:
        return Window(self._params.window, [took_ms] * self._params.weight)

    def _settle(self, sizes: Iterable[int]) -> bool:
        """Read the quantiles of sizes that were seen; True when one differs."""
        moved, params = False, self._params
        for size in sizes:
            window = self._windows[size]
            typical, careful = window.quantile(params.typical), window.quantile(params.careful)
            if typical != self._typical.get(size) or careful != self._careful.get(size):
                self._typical[size], self._careful[size] = typical, careful
                moved = True
        if moved:
            self.moves += 1
            self._sizes = sorted(self._windows)
            self.typical_ms, self.careful_ms = self.typical(), self.careful()
        return moved


def between(known: Mapping[int, float], sizes: list[int], size: int) -> float:
    """Return the time of a batch size that was not seen, from those that were.

    Between two sizes times are taken to lie on a line. Above all, they grow as they did between
    the two largest, or in proportion where one alone is known. Below all, the smallest counts
    whole. Larger batches never take less.
    """
    place = bisect_left(sizes, size)
    if place == 0:
        return known[sizes[0]]
    if place == len(sizes) and place == 1:
        return known[sizes[0]] * size / sizes[0]
    low, high = (sizes[place - 1], sizes[place]) if place < len(sizes) else sizes[-2:]
    step = max(0.0, (known[high] - known[low]) / (high - low))
    return known[low] + step * (size - low)


def _ratio(one: float, other: float) -> float:
    if one > _TINY_MS < other:
        return math.log(one / other)
    return math.log(max(one, _TINY_MS) / max(other, _TINY_MS))


class Profiles:
    """Profiles by service, variant and device; services that come back find theirs."""

    def __init__(self, params: ProfileParams | None = None) -> None:
        self._params = params or ProfileParams()
        self._profiles: dict[tuple[str, str, str], Profile] = {}

    def of(self, terms: Terms, *, loaded: bool = True) -> Profile:
        """Return the profile of a service, warm from what is declared; cold again once loaded."""
        key = (terms.name, terms.variant, terms.device)
        profile = self._profiles.get(key)
        if profile is None:
            declared = dict(terms.prior_batches)
            if terms.prior_ms is not None:
                declared[1] = terms.prior_ms
            profile = self._profiles[key] = Profile(self._params, declared, terms.cold_ms)
        if loaded:
            profile.loaded()
        return profile

    def forget(self, service: str) -> None:
        """Drop everything about a service."""
        for key in [key for key in self._profiles if key[0] == service]:
            del self._profiles[key]
