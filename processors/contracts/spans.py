"""What was observed up to one window end, looked up once for all clauses on a metric."""

from dataclasses import dataclass, field

from processors.contracts.clauses import Judged, Value, judged_as, metrics_of, value_of
from processors.contracts.evidence import Evidence
from schemas.observing import Observation
from schemas.registrations import Clause

_Scope = tuple[str | int, ...]


@dataclass(slots=True)
class Spans:
    """The spans that end at `end`: their observations, and what statistics of them come to."""

    evidence: Evidence
    end: int
    _observed: dict[tuple[int, frozenset[str]], list[Observation]] = field(default_factory=dict)
    _values: dict[_Scope, Value | None] = field(default_factory=dict)

    def of(self, clause: Clause) -> list[Observation]:
        """Return what was observed in the span of a clause."""
        key = (clause.window_ms, metrics_of(clause))
        if key not in self._observed:
            self._observed[key] = self.evidence.within(self.end, *key)
        return self._observed[key]

    def judge(self, clause: Clause) -> Judged | None:
        """Return what a clause comes to over its span; None with too few events."""
        key = (
            clause.metric,
            clause.label,
            clause.stage,
            clause.service,
            clause.instance,
            clause.statistic,
            clause.window_ms,
            clause.min_count,
        )
        if key not in self._values:
            self._values[key] = value_of(clause, self.of(clause))
        return judged_as(clause, self._values[key])
