"""Which verdicts are raised, and the events that tell what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from processors.rules import kernels as k
from processors.rules.meaning import METRIC
from processors.rules.silencing import alike, node_down, silence_of
from processors.rules.state import PairState
from processors.rules.table import Table
from processors.rules.verdicts import (
    AGAIN,
    RAISED,
    WITHDRAWN,
    WORSE,
    Turn,
    ended,
    subject_of,
    verdict,
)
from schemas.catalogue import Catalogue
from schemas.observing import QualityEvaluated
from schemas.quality import SilenceDefined


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a pair: that it turned or grew worse, by which windows."""

    number: int
    what: int
    value: float
    severity: int
    began: int
    end: int
    causes: tuple[str, ...]


class Telling:
    """Follows the pairs of a table as they turn, in the order in which they do."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._raised: dict[tuple[str, str], dict[int, None]] = {}
        for number in sorted(table.pairs, key=lambda one: table.name_of(table.pairs[one])):
            if table.whole[number, k.RAISED]:
                self._note(number)

    def turned(self, said: Said, catalogue: Catalogue, now_ms: int) -> QualityEvaluated:
        """Return the event of a pair that turned or grew worse."""
        number = said.number
        pair = self._table.pairs[number]
        rule = self._table.book.rules[pair.rule]
        was = number in self._of(rule.name, pair.key[0])
        word = WORSE if said.what == k.WORSE else WITHDRAWN if was else RAISED
        if word == WITHDRAWN:
            silenced_by = "" if pair.told else pair.silenced_by
            del self._of(rule.name, pair.key[0])[number]
        else:
            silenced_by = self._silenced_by(number, catalogue, now_ms)
        turn = Turn(
            rule=rule,
            key=pair.key,
            what=word,
            value=said.value,
            severity=said.severity,
            since=said.began,
            end=said.end,
            spell="" if word == RAISED else pair.spell,
            silenced_by=silenced_by,
            causes=said.causes,
        )
        event = verdict(turn, now_ms)
        if word == RAISED:
            self._note(number)
            pair.spell, pair.told = event.spell, False
        pair.silenced_by = "" if word == WITHDRAWN else silenced_by
        pair.told = word != WITHDRAWN and (pair.told or not silenced_by)
        return event

    def told_again(self, catalogue: Catalogue, now_ms: int) -> list[QualityEvaluated]:
        """Return the raised verdicts that were silenced and are so no longer."""
        found = []
        for number in [one for raised in self._raised.values() for one in raised]:
            pair = self._table.pairs[number]
            if pair.silenced_by and not self._silenced_by(number, catalogue, now_ms):
                pair.silenced_by, pair.told = "", True
                found.append(verdict(self._turn(number), now_ms))
        return sorted(found, key=lambda event: (event.rule, event.spell))

    def forgotten(
        self, gone: Sequence[tuple[int, PairState]], why: str, now_ms: int
    ) -> list[QualityEvaluated]:
        """Return what withdraws the raised verdicts of pairs that are no longer judged."""
        for number, one in gone:
            del self._of(one.rule, one.key[0])[number]
        return [ended(one, why, now_ms) for _, one in gone]

    def _turn(self, number: int) -> Turn:
        pair, row = self._table.pairs[number], self._table.whole[number].tolist()
        return Turn(
            rule=self._table.book.rules[pair.rule],
            key=pair.key,
            what=AGAIN,
            value=float(self._table.values[number]),
            severity=row[k.SEVERITY],
            since=row[k.BEGAN],
            end=row[k.END],
            spell=pair.spell,
            causes=(pair.spell,),
        )

    def _silenced_by(self, number: int, catalogue: Catalogue, now_ms: int) -> str:
        pair = self._table.pairs[number]
        rule = self._table.book.rules[pair.rule]
        subject = subject_of(rule.name, pair.key)
        silences = catalogue.of(SilenceDefined)
        said = silence_of(subject, silences, now_ms) or node_down(subject, catalogue, now_ms)
        if said:
            return said
        for parent in rule.depends_on:
            for other in self._of(parent, pair.key[0]):
                key = self._table.pairs[other].key
                if alike(key[1:METRIC], pair.key[1:METRIC]):
                    return f"rule {parent}"
        return ""

    def _of(self, rule: str, app: str) -> dict[int, None]:
        return self._raised.get((rule, app), {})

    def _note(self, number: int) -> None:
        pair = self._table.pairs[number]
        name = self._table.book.rules[pair.rule].name
        self._raised.setdefault((name, pair.key[0]), {})[number] = None
