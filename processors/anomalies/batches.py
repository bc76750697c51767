"""Windows of many series in columns, on their way through their detectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from processors.anomalies.detectors import Judged, Memories
from processors.anomalies.kernels import Floats, Ints
from processors.anomalies.multivariate import NUMBERS, VECTOR_DETECTORS
from processors.anomalies.policies import Choice, rates
from processors.anomalies.series import Judgement, Watched
from schemas.observing import Finding


@dataclass(frozen=True, slots=True)
class Windows:
    """Rows of observations; `codes` says which of the series and choices each row is of."""

    frame: pl.DataFrame
    codes: Ints
    watched: Sequence[Watched]
    choices: Sequence[Choice]

    def of(self, at: int) -> Watched:
        """Return the series of a row."""
        return self.watched[int(self.codes[at])]

    def following(self, back: int) -> "Windows":
        """Return the windows that are to be judged, and let their series take note of all."""
        ends = zip(self.codes.tolist(), self.frame["window_end"].to_list(), strict=True)
        kept = np.array([self.watched[code].follows(end, back) for code, end in ends], np.bool_)
        if kept.all():
            return self
        return Windows(self.frame.filter(kept), self.codes[kept], self.watched, self.choices)

    def judged(self, memories: Mapping[str, Memories]) -> Judged:
        """Return how strange each window is to its detector, which learns it."""
        found = Judged.of(len(self.codes))
        names = np.array([choice.detector for choice in self.choices], object)[self.codes]
        rows = np.array([one.row for one in self.watched], np.int64)[self.codes]
        ends = self.frame["window_end"].to_numpy()
        allowed = self.rates()
        for name in dict.fromkeys(names.tolist()):
            at = np.flatnonzero(names == name)
            memory = memories[name]
            part = memory.judge.judge(
                memory.states, rows[at], ends[at], self._values(name, at), allowed[at]
            )
            found.scores[at], found.fresh[at], found.usual[at] = part.scores, part.fresh, part.usual
        return found

    def rates(self) -> Floats:
        """Return the share of windows like each that may be flagged without a reason."""
        weekly = np.array([choice.weekly for choice in self.choices])[self.codes]
        lengths = self.frame["window_end"].to_numpy() - self.frame["window_start"].to_numpy()
        return rates(weekly, lengths)

    def telling(self, found: Judged) -> list[int]:
        """Return the rows whose judgement may change a verdict, or what leads to one."""
        flagged = found.scores >= -np.log10(self.rates())
        stirred = np.array([one.raised for one in self.watched], np.bool_)
        stirred[self.codes[flagged]] = True
        rows: list[int] = np.flatnonzero(stirred[self.codes]).tolist()
        return rows

    def judgement(self, at: int, found: Judged) -> Judgement:
        """Return what was judged of a row."""
        names = self._statistics(self.choices[self.codes[at]])
        row = self.frame.row(at, named=True)
        finding = Finding(
            what=f"{names[0]} of {row['metric']}",
            observed=float(row[names[0]]),
            expected=float(found.usual[at]),
        )
        return Judgement(
            start=row["window_start"],
            end=row["window_end"],
            score=float(found.scores[at]),
            rate=float(self.rates()[at]),
            findings=(finding,),
            causes=(row["event_id"],),
        )

    def _values(self, detector: str, at: Ints) -> Floats:
        """Return the values that a detector judges, a row of them where it judges vectors."""
        if detector in VECTOR_DETECTORS:
            vectors = self.frame.select(pl.col(NUMBERS).cast(pl.Float64)).to_numpy()
            return np.ascontiguousarray(vectors[at])
        values = np.empty(len(at))
        codes = self.codes[at]
        statistics = np.array([choice.statistic for choice in self.choices], object)[codes]
        for name in dict.fromkeys(statistics.tolist()):
            column: Floats = self.frame[name].cast(pl.Float64).to_numpy()
            places = statistics == name
            values[places] = column[at[places]]
        return values

    @staticmethod
    def _statistics(choice: Choice) -> tuple[str, ...]:
        return NUMBERS if choice.detector in VECTOR_DETECTORS else (choice.statistic,)
