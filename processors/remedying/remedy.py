"""remedy: what is done about findings; was it carried out, did it help, is it taken back.

Findings are verdicts on quality, confirmed drifts and violations. A RemedyDefined says which of
them may cause which action (`actions`, `moving`, those of plug-ins, or `notify`). An action is
events that others carry out: select, scale, place, canary, who trains, notify. Every step is an
ActionTaken of kind remedy.<action>, remedy.verified, remedy.undone or remedy.ended.

- Mode: policies `remediate`, `remediate/<app>`, `installation`; in recommend it is told what would
  be done, in observe nothing is. A freeze stops all but notifications.
- A target rests for `cooldown_ms`, whichever remedy acted, and at least until it is verified; twice
  as long after each action in a row that did not help. So what an action itself makes look bad
  causes no other, and two remedies cannot turn each other's work at once; what helped is not
  turned into its opposite for an hour.
- What begins after an action that is not verified yet waits for that: it may come of it, and two
  changes at once could not be told apart.
- After `verify_ms` it is told whether it helped: the finding is withdrawn, or its metric has come
  half the way to what would be right. What was not carried out helped nobody: that is told.
- What is silenced causes nothing. A finding is forgotten when it is withdrawn, a drift and a
  diagnosis after 10 minutes, others after a day without news.

Bounds: 64 findings per application, 512 targets that rest, each with one action awaited, 2,048
findings that were notified, 64 refusals.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from processors.params import identity, require
from processors.refusals import refusal
from processors.remedying import telling
from processors.remedying.actions import ACTIONS
from processors.remedying.base import Action, asked_for, pairs
from processors.remedying.definitions import objections
from processors.remedying.findings import answers, found, key_of, withdraws
from processors.remedying.ledger import FINDINGS, Ledger, joined
from processors.remedying.state import Held, Open, RemedyState
from processors.remedying.steps import Steps
from processors.remedying.verifying import verify
from schemas.authority import OFF, REASON, STATE, frozen
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import (
    ActionTaken,
    DeploymentObserved,
    EnsembleSelected,
    PlacementDecided,
    PlacementRequested,
)
from schemas.identity import stable_id
from schemas.observing import ContractViolated, DriftDetected, Observation, QualityEvaluated
from schemas.partitioning import partition_of
from schemas.processing import Batch, Home, Spec
from schemas.quality import RemedyDefined, RetrainingRequested
from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered
from schemas.topics import PARTITIONS

INPUTS = ("weir.quality", "weir.drifts", "weir.violations", "weir.observations")
_FINDING = (QualityEvaluated, DriftDetected, ContractViolated)
_REFUSALS = 64


@dataclass(frozen=True, slots=True)
class RemedyParams:
    """`look_ms`: how often (ms, at least 1) findings and actions are looked at again."""

    look_ms: int = 1_000


class Remedy:
    """The findings of the applications whose key falls into one partition."""

    def __init__(
        self,
        partition: int,
        params: RemedyParams,
        partitions: int = PARTITIONS,
        others: Mapping[str, Action] | None = None,
    ) -> None:
        self._partition, self._partitions = partition, partitions
        self._params = params
        self._actions = {**(others or {}), **ACTIONS}
        self._ledger = Ledger()
        self._next_look = 0
        self._defined: Mapping[str, RemedyDefined] = {}
        self._valid: tuple[RemedyDefined, ...] = ()
        self._wrong: tuple[ActionTaken, ...] = ()

    def process(self, batch: Batch) -> Sequence[Event]:
        """Look when it is time, then answer what the batch finds."""
        self._follow(batch.catalogue)
        steps = Steps(self._ledger, self._actions, batch.catalogue, batch.now_ms)
        out: list[Event] = []
        if batch.now_ms >= self._next_look:
            step = self._params.look_ms
            self._next_look = (batch.now_ms // step + 1) * step
            out += self._look(steps)
        for record in batch.records:
            event = record.event
            if isinstance(event, Observation):
                self._ledger.take(event)
            elif isinstance(event, _FINDING) and self._owns(event.app):
                out += self._take(event, steps)
        return out

    def wake_at(self) -> int | None:
        """Return when it looks next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return the ledger as Avro."""
        return pack_state(self._ledger.state(self._next_look))

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, RemedyState)
        self._next_look = state.next_look
        self._ledger = Ledger(state)

    def _owns(self, app: str) -> bool:
        return partition_of(app, self._partitions) == self._partition

    def _follow(self, catalogue: Catalogue) -> None:
        """Take over the definitions, when they have changed."""
        defined = catalogue.of(RemedyDefined)
        if defined is self._defined:
            return
        self._defined = defined
        known = {name: objections(remedy, self._actions) for name, remedy in defined.items()}
        self._valid = tuple(defined[name] for name in sorted(defined) if not known[name])
        self._wrong = tuple(
            refusal("remedy", defined[name], "; ".join(wrong), defined[name].registered_at)
            for name, wrong in sorted(known.items())
            if wrong
        )

    def _take(self, event: Event, steps: Steps) -> Iterator[Event]:
        key = key_of(event)
        finding = found(event, self._ledger.findings.get(key), steps.now)
        if finding is not None:
            stands, gone = self._ledger.open(finding)
            if gone is not None:
                yield telling.crowded(gone.finding, FINDINGS, steps.now)
                yield from self._resolved(gone, steps)
            yield from self._answered(stands, steps)
        elif withdraws(event) and key in self._ledger.findings:
            yield from self._resolved(self._ledger.findings.pop(key), steps)

    def _answered(self, stands: Open, steps: Steps) -> Iterator[Event]:
        for remedy in self._valid:
            if answers(remedy, stands.finding):
                yield from steps.answer(stands, remedy)

    def _resolved(self, stands: Open, steps: Steps) -> Iterator[Event]:
        for remedy in self._valid:
            yield from steps.resolve(stands, remedy)

    def _look(self, steps: Steps) -> Iterator[Event]:
        yield from self._refuse()
        for stands in list(self._ledger.expired(steps.now)):
            yield from self._resolved(stands, steps)
        for deed in list(self._ledger.deeds.values()):
            if steps.now >= deed.verify_at:
                action = self._actions.get(deed.asker.action)
                yield from verify(deed, action, self._ledger, steps.catalogue, steps.now)
        for held in list(self._ledger.held.values()):
            if steps.now >= held.until and frozen(steps.catalogue, held.app) is None:
                del self._ledger.held[held.scope]
                yield from _ended(held, steps)
        for stands in sorted(self._ledger.findings.values(), key=_attempts):
            yield from self._answered(stands, steps)

    def _refuse(self) -> Iterator[Event]:
        """Say of wrong definitions, once each, why they are not followed; in one partition."""
        for wrong in self._wrong if self._partition == 0 else ():
            if wrong.event_id not in self._ledger.refused:
                self._ledger.refused[wrong.event_id] = None
                yield wrong
        while len(self._ledger.refused) > _REFUSALS:
            del self._ledger.refused[next(iter(self._ledger.refused))]


def _attempts(stands: Open) -> int:
    """Return how much was done about a finding: where not all may be answered, it waits longer."""
    return sum(reply.attempts for reply in stands.replies)


def _ended(held: Held, steps: Steps) -> Iterator[Event]:
    """End a policy whose time is over, unless somebody else has ended it or made it theirs."""
    policy = asked_for(steps.catalogue, held.scope)
    if policy is None:
        return
    yield telling.ended(held.scope, held.deed, held.app, steps.now)
    yield replace(
        policy,
        parameters=pairs({STATE: OFF, REASON: "its time is over"}),
        selected_at=steps.now,
        event_id=stable_id("remedy", "end", held.scope, held.deed),
    )


def spec(
    params: RemedyParams | None = None,
    partitions: int = PARTITIONS,
    plugins: Mapping[str, Action] | None = None,
) -> Spec:
    """Return how hosts know this processor on so many partitions, with actions of others by name.

    Raises processors.errors.InvalidParameters.
    """
    chosen = params or RemedyParams()
    require(chosen, look_ms=1)
    return Spec(
        name="remedy",
        inputs=INPUTS,
        outputs=(ActionTaken, PlacementRequested, PolicySelected, RetrainingRequested),
        build=lambda partition: Remedy(partition, chosen, partitions, plugins),
        parameters=identity(chosen),
        state=RemedyState,
        sized=lambda count: spec(params, count, plugins),
        share=_share,
        portable=True,
        catalogue=(
            RemedyDefined,
            ServiceRegistered,
            NodeReported,
            EnsembleSelected,
            PlacementDecided,
            DeploymentObserved,
            PolicySelected,
        ),
    )


def _share(states: Sequence[RemedyState], partition: int, home: Home) -> RemedyState:
    whole = joined(states)
    return RemedyState(
        next_look=whole.next_look,
        refused=whole.refused,
        findings=tuple(o for o in whole.findings if home(o.finding.app) == partition),
        deeds=tuple(d for d in whole.deeds if home(d.finding.app) == partition),
        rests=tuple(r for r in whole.rests if home(r.app) == partition),
        held=tuple(h for h in whole.held if home(h.app) == partition),
        hours=tuple(h for h in whole.hours if home(h.app) == partition),
    )
