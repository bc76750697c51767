"""What the processor of contracts is set to, and what it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

from processors.contracts.evidence import EvidenceState, arrived
from processors.contracts.standings import Standing
from processors.contracts.telling import Told
from schemas.processing import Home
from schemas.registrations import ContractRegistered


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractParams:
    """When clauses are judged, in ms of the host's clock, and after how many judgements they turn.

    The catalogue is looked through every `check_ms`; an app that reports nothing for `idle_ms`
    is forgotten until it does again. A clause that was not judged for two of its windows and
    `silent_ms` is unobserved.
    """

    settle_ms: int = 500
    spell: int = 2
    check_ms: int = 1_000
    idle_ms: int = 600_000
    tell_ms: int = 60_000
    silent_ms: int = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A judgement to come: of the clauses on a metric, over spans that end at `end`."""

    at_ms: int
    end: int
    app: str
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractState:
    """All but the observations, which the log holds."""

    next_check: int
    partition: int
    refused: tuple[str, ...]
    evidence: tuple[EvidenceState, ...]
    due: tuple[Due, ...]
    standings: tuple[Standing, ...]
    contracts: tuple[ContractRegistered, ...] = ()
    told: tuple[Told, ...] = ()


def shared(states: Sequence[ContractState], partition: int, home: Home) -> ContractState:
    """Return the part of all partitions' states that belongs into one.

    Of an app that moves, the offsets of its evidence begin anew.
    """

    def mine(one: EvidenceState | Due | Standing | ContractRegistered | Told) -> bool:
        return home(one.app) == partition

    kept = {one.app for s in states if s.partition == partition for one in s.evidence}
    evidence = (one for s in states for one in s.evidence if mine(one))
    return ContractState(
        next_check=max(s.next_check for s in states),
        partition=partition,
        refused=tuple(dict.fromkeys(name for s in states for name in s.refused)),
        evidence=tuple(one if one.app in kept else arrived(one) for one in evidence),
        due=tuple(one for s in states for one in s.due if mine(one)),
        standings=tuple(one for s in states for one in s.standings if mine(one)),
        contracts=tuple(one for s in states for one in s.contracts if mine(one)),
        told=tuple(one for s in states for one in s.told if mine(one)),
    )
