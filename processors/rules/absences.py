"""Series that do not come: whose absence is due, told by the host's clock."""

import numpy as np

from processors.rules import kernels as k
from processors.rules.table import Table
from processors.rules.telling import Said, Telling
from schemas.catalogue import Catalogue
from schemas.observing import QualityEvaluated

NEVER = np.iinfo(np.int64).max
_CRITICAL = 2


class Absences:
    """Watches the pairs of a table whose rule waits for windows that do not come.

    One waits for a series to go on, or for the first of any series that it selects. A series that
    stays away for `forget_ms` is forgotten, and its verdict withdrawn.
    """

    def __init__(self, forget_ms: int, table: Table, telling: Telling) -> None:
        self._forget_ms = forget_ms
        self._table = table
        self._telling = telling
        self._version = -1
        self._numbers = np.empty(0, np.int64)
        self._never = np.empty(0, np.bool_)
        self._span = self._critical = self._after = self._numbers

    def due(self) -> int | None:
        """Return when (ms) an absence is to be told next; None while there is none to come."""
        self._gather()
        if not len(self._numbers):
            return None
        earliest = int(self._due().min())
        return None if earliest == NEVER else earliest

    def begin_anew(self, now_ms: int) -> None:
        """Count absences that are not told yet from now on: nobody was there to hear."""
        self._gather()
        rows = self._table.whole
        quiet = self._numbers[rows[self._numbers, k.RAISED] == 0]
        rows[quiet, k.HEARD] = now_ms

    def told(self, catalogue: Catalogue, now_ms: int) -> list[QualityEvaluated]:
        """Return the absences that are due: raised, worse, or forgotten after long."""
        self._gather()
        if not len(self._numbers):
            return []
        table, due = self._table, self._due()
        found = [(int(due[at]), int(self._numbers[at])) for at in np.flatnonzero(due <= now_ms)]
        found.sort(key=lambda one: (one[0], table.name_of(table.pairs[one[1]])))
        outputs: list[QualityEvaluated] = []
        for _, number in found:
            if number in table.pairs:
                outputs += self._tell(number, catalogue, now_ms)
        return outputs

    def _tell(self, number: int, catalogue: Catalogue, now_ms: int) -> list[QualityEvaluated]:
        table = self._table
        pair, row = table.pairs[number], table.whole[number]
        rule = table.book.rules[pair.rule]
        away = now_ms - int(row[k.HEARD])
        if row[k.RAISED] and not pair.never and away >= self._forget_ms:
            gone = table.end(table.numbers[pair.key])
            return list(self._telling.forgotten(gone, "absent for too long: forgotten", now_ms))
        limit = rule.critical_threshold
        what = k.WORSE if row[k.RAISED] else k.TURNED
        if what == k.TURNED:
            row[k.RAISED], row[k.RAISED_AT], row[k.BEGAN] = 1, now_ms, row[k.HEARD]
            row[k.SEVERITY] = table.book.whole[pair.rule, k.RANK]
            if limit is not None and away >= limit:
                row[k.SEVERITY] = _CRITICAL
        else:
            row[k.SEVERITY] = _CRITICAL
        table.values[number] = away
        said = Said(
            number,
            what,
            float(away),
            int(row[k.SEVERITY]),
            int(row[k.BEGAN]),
            int(row[k.END]),
            self._last(number),
        )
        return [self._telling.turned(said, catalogue, now_ms)]

    def _last(self, number: int) -> tuple[str, ...]:
        """Return the id of the last window of the series that is absent, if there was one."""
        series = self._table.numbers.get(self._table.pairs[number].key)
        seen = self._table.series[series].seen if series is not None else ()
        return (seen[-1][1],) if seen else ()

    def _gather(self) -> None:
        """Look up the pairs of absence rules, where there are others than before."""
        table = self._table
        if table.version == self._version:
            return
        self._version = table.version
        absent = set(table.book.absent)
        numbers = [number for number, pair in table.pairs.items() if pair.rule in absent]
        rules = [table.book.rules[table.pairs[number].rule] for number in numbers]
        self._numbers = np.array(numbers, np.int64)
        self._never = np.array([table.pairs[number].never for number in numbers], np.bool_)
        self._span = np.array([rule.span_ms for rule in rules], np.int64)
        limits = [rule.critical_threshold for rule in rules]
        self._critical = np.array([-1 if one is None else int(one) for one in limits], np.int64)
        self._after = np.array([rule.critical_after_ms or -1 for rule in rules], np.int64)

    def _due(self) -> k.Ints:
        rows = self._table.whole[self._numbers]
        heard, raised = rows[:, k.HEARD], rows[:, k.RAISED] != 0
        waits = ~self._never | (rows[:, k.RUN] == 0)
        due = np.where(waits, heard + self._span, NEVER)
        milder = rows[:, k.SEVERITY] < _CRITICAL
        worse = np.where((self._critical >= 0) & milder, heard + self._critical, NEVER)
        longer = rows[:, k.RAISED_AT] + self._after
        worse = np.where((self._after >= 0) & milder, np.minimum(worse, longer), worse)
        gone = np.where(self._never, NEVER, heard + self._forget_ms)
        found: k.Ints = np.where(raised, np.minimum(worse, gone), due)
        return found
