"""What is saved of rules: the series, and those pairs of rule and series that remember anything."""

from dataclasses import dataclass

from processors.rules.meaning import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesState:
    """A series: its newest window, older ones in a row since, and the ids of the last ones."""

    key: Key
    last_end: int
    older: int
    ends: tuple[int, ...]
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """A rule on a series. `never` is set where the rule waits for a series to come at all.

    `run` counts the windows in a row against the verdict, for absence whether any came; `memory`
    are doubles, little-endian; `told` says whether a raised verdict was told to anybody.
    """

    rule: str
    rule_id: str
    key: Key
    never: bool
    run: int
    raised: bool
    severity: int
    raised_at: int
    began: int
    heard: int
    end: int
    value: float
    spell: str
    silenced_by: str
    told: bool
    memory: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityState:
    """Series, the longest unused first, pairs, rules refused, kinds of others that failed.

    `looked` is when the timer fired last, `wake` when it is due, ms; 0 is at once. `full` says
    whether it was told that series had to be forgotten.
    """

    looked: int
    wake: int
    series: tuple[SeriesState, ...]
    pairs: tuple[PairState, ...]
    refused: tuple[str, ...]
    failed: tuple[str, ...]
    full: bool
