"""Which series are watched, and by which detector: parameters, and the policies that go before."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from processors.drifting.detectors import OFF, Choice, policies_of
from processors.refusals import policy_refused
from processors.vocabulary import DATA
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.registrations import PolicySelected
from schemas.topics import SERIES

Key = tuple[str, ...]
_APP, _METRIC = SERIES.index("app"), SERIES.index("metric")
LEVELS = {
    "app": pl.col("service") == "",
    "service": (pl.col("service") != "") & (pl.col("instance") == ""),
    "instance": pl.col("instance") != "",
}


class Choosing:
    """Watches `metrics` (those that end in a dot: all that begin so) at `levels` by a default.

    A metric that a policy names by itself is watched, too; `plugins` names detectors of others.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        levels: Sequence[str],
        default: Choice,
        plugins: Collection[str],
    ) -> None:
        self._metrics = {name for name in metrics if not name.endswith(".")}
        self._begins = tuple(name for name in metrics if name.endswith("."))
        self._default = default
        self._plugins = plugins
        self._selected: Mapping[str, PolicySelected] | None = None
        self._policies = policies_of({}, (), DATA)
        self.refused: tuple[str, ...] = ()
        """Ids of the policies that are not heeded."""
        begins = [pl.col("metric").str.starts_with(name) for name in self._begins]
        named = pl.any_horizontal([pl.col("metric").is_in(sorted(self._metrics)), *begins])
        self._levels = pl.any_horizontal([LEVELS[name] for name in levels])
        self._watched = named & self._levels

    def forget(self, refused: tuple[str, ...]) -> None:
        """Know no policies; those `refused` have been told."""
        self._selected, self.refused = None, refused

    def select(self, catalogue: Catalogue, now_ms: int) -> list[ActionTaken] | None:
        """Heed the policies; return what is newly refused, None where nothing has changed."""
        selected = catalogue.of(PolicySelected)
        if selected is self._selected:
            return None
        self._selected = selected
        self._policies = policies_of(selected, self._plugins, DATA)
        known, self.refused = self.refused, tuple(self._policies.refused)
        return [
            policy_refused("drift", event_id, *said, now_ms)
            for event_id, said in self._policies.refused.items()
            if event_id not in known
        ]

    def choice(self, key: Key) -> Choice:
        """Return the detector of a series."""
        return self._policies.of(key[_APP], key[_METRIC]) or self._default

    def still(self, key: Key) -> bool:
        """Return whether a series that was watched still is."""
        metric = key[_METRIC]
        named = metric in self._metrics or metric.startswith(self._begins)
        if not named and self._policies.alone(key[_APP], metric) is None:
            return False
        return self.choice(key).detector != OFF

    def watched(self, series: pl.DataFrame) -> npt.NDArray[np.bool_]:
        """Return which rows of a frame of series are watched."""
        mask = series.select(self._watched).to_series().to_numpy().copy()
        if self._selected:
            levels = series.select(self._levels).to_series().to_numpy()
            keys = series.select(SERIES).rows()
            for row in np.flatnonzero(levels).tolist():
                mask[row] = self.still(keys[row])
        return mask
