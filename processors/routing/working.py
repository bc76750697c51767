"""Requests on their way through the stages of their application: who is asked when."""

from collections.abc import Mapping
from dataclasses import dataclass

from processors.routing.deadlines import due_of
from processors.routing.dispatch import (
    Allowance,
    accept,
    dispatch,
    hedge_at,
    needs_dispatch,
    release,
    wrong,
)
from processors.routing.inputs import inputs_of
from processors.routing.instances import Instances
from processors.routing.pending import Waiting
from processors.routing.plans import Plan, members_of, needs_selection, plan_of
from processors.routing.stages import close, fate, following, has_ended, is_settled, voters_of
from processors.routing.state import (
    ASKED,
    FAILED,
    MISSING,
    SHADOW,
    WAITING,
    Member,
    Pending,
    Run,
)
from processors.routing.votes import Combiner
from schemas.decisions import EnsembleSelected
from schemas.inference import InferenceResult
from schemas.packed import Packed
from schemas.processing import Output
from schemas.registrations import ApplicationRegistered

Out = list[Output | Packed]
_Made = tuple[ApplicationRegistered | None, EnsembleSelected | None, Plan]
NO_PLAN = Plan((), (), "")

RETRIED = ("failed", "dropped")
"""Statuses of a result after which another instance is asked."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How often a member is asked, and when and how often (%) a second instance; times in ms."""

    attempts: int
    hedge_ms: int
    hedge_percent: int
    overhead_ms: float


class Working:
    """Walks requests through their stages; what is to be sent is added to `out`."""

    def __init__(
        self, bounds: Bounds, instances: Instances, waiting: Waiting, others: Mapping[str, Combiner]
    ) -> None:
        self._bounds = bounds
        self._instances = instances
        self._waiting = waiting
        self._others = others
        self._plans: dict[str, Plan] = {}
        self._last: _Made = (None, None, NO_PLAN)
        self.allowance = Allowance(bounds.hedge_percent)

    def begin(self, pending: Pending, now_ms: int, out: Out) -> None:
        """Begin the first stages, unless nobody says yet who is to serve."""
        plan = self.plan(pending)
        if pending.selected is None and needs_selection(plan):
            return
        pending.runs = tuple(Run(stage=step.stage.stage) for step in plan.steps)
        self._advance(pending, plan, now_ms, out)

    def is_over(self, pending: Pending) -> bool:
        """Tell whether every stage has ended."""
        for run in pending.runs:
            if not has_ended(run):
                return False
        return bool(pending.runs)

    def take(
        self, pending: Pending, result: InferenceResult, arrival: int, now_ms: int, out: Out
    ) -> bool:
        """Take a result for a stage; False when it settles nothing."""
        found = _asked(pending, result)
        if found is None or pending.app is None:
            return False
        number, run, member = found
        why = wrong(result, pending.app.classes) if result.status == "ok" else ""
        if not accept(member, result, why, self._instances, arrival, now_ms):
            return False
        if member.status in RETRIED and self._ask(pending, run, member, now_ms, out):
            return True
        self._go_on(pending, self.plan(pending), number, now_ms, out)
        return True

    def tend(self, pending: Pending, now_ms: int, out: Out) -> None:
        """Do what is due: stages whose time is over end, members that are slow get help."""
        plan = self.plan(pending)
        for number, run in enumerate(pending.runs):
            if run.status != ASKED:
                continue
            if run.due <= now_ms:
                self._end(pending, plan, number, now_ms, out)
                continue
            for member in run.members:
                if 0 < member.hedge_at <= now_ms and member.status == MISSING:
                    member.hedge_at = 0
                    self._hedge(pending, run, member, now_ms, out)

    def look_after(self, pending: Pending, now_ms: int, out: Out) -> None:
        """Ask again for members whose instance is lost, or who had none."""
        if not pending.runs:
            self.begin(pending, now_ms, out)
            return
        plan = self.plan(pending)
        for number, run in enumerate(pending.runs):
            if run.status != ASKED:
                continue
            voters = voters_of(run)
            if plan.steps[number].one_by_one and all(member.passed for member in voters):
                for member in voters:
                    member.passed = False
                self._go_on(pending, plan, number, now_ms, out)
            for member in run.members:
                waits = member.attempts or not plan.steps[number].one_by_one
                if waits and needs_dispatch(member, self._instances, now_ms):
                    self._ask(pending, run, member, now_ms, out)

    def forget(self, pending: Pending) -> None:
        """Wait for nothing of a request any more."""
        self._plans.pop(pending.request.request_id, None)
        for run in pending.runs:
            for member in run.members:
                if member.status == MISSING:
                    release(member, self._instances)

    def resume(self) -> None:
        """Count what is under way again, after a restart."""
        attempts = (
            attempt
            for pending in self._waiting
            for run in pending.runs
            for member in run.members
            for attempt in member.attempts
            if attempt.is_open
        )
        for attempt in sorted(attempts, key=lambda attempt: attempt.sent_at):
            self._instances.send(attempt)

    def plan(self, pending: Pending) -> Plan:
        """Return the plan of a request that was admitted."""
        known = self._plans.get(pending.request.request_id)
        if known is None:
            known = self._plans[pending.request.request_id] = self._made(pending)
        return known

    def _made(self, pending: Pending) -> Plan:
        """Return a plan; the last one again, as for most, without looking at what it is made of."""
        app, selected, plan = self._last
        if pending.app is not app or pending.selected is not selected:
            plan = plan_of(pending.app, pending.selected) if pending.app is not None else NO_PLAN
            self._last = pending.app, pending.selected, plan
        return plan

    def adopted(self, pending: Pending) -> None:
        """Note that another selection is in force for a request that has not begun."""
        self._plans.pop(pending.request.request_id, None)

    def _advance(self, pending: Pending, plan: Plan, now_ms: int, out: Out) -> None:
        """Begin the stages that can, in their order; what ends at once may let others begin.

        When the answer is due none begins any more.
        """
        if now_ms >= pending.answer_at:
            return
        for number, step in enumerate(plan.steps):
            run = pending.runs[number]
            if run.status != WAITING:
                continue
            status, why = fate(step, plan, pending.runs)
            if status == ASKED:
                self._open(pending, plan, number, now_ms, out)
            elif status != WAITING:
                run.status, run.reason = status, why
                run.began_at = run.ended_at = now_ms

    def _open(self, pending: Pending, plan: Plan, number: int, now_ms: int, out: Out) -> None:
        step, run = plan.steps[number], pending.runs[number]
        run.began_at = now_ms
        run.due = due_of(number, plan, pending, self._instances, self._bounds.overhead_ms, now_ms)
        run.inputs, run.reason = inputs_of(step, plan, pending.runs, pending.request)
        if not run.reason:
            run.members = members_of(step, pending.request)
        if not run.members:
            run.status, run.ended_at = FAILED, now_ms
            run.reason = run.reason or "nobody serves it"
            return
        run.status = ASKED
        if run.due != pending.answer_at:
            self._waiting.remind(pending, run.due)
        for member in run.members:
            if not step.one_by_one or member.role == SHADOW:
                self._ask(pending, run, member, now_ms, out)
        if step.one_by_one:
            self._ask_next(pending, plan, number, now_ms, out)

    def _ask_next(self, pending: Pending, plan: Plan, number: int, now_ms: int, out: Out) -> None:
        """Ask the next of a stage that asks one by one; who has no instance is passed over."""
        step, run = plan.steps[number], pending.runs[number]
        while (member := following(step, run)) is not None:
            if self._ask(pending, run, member, now_ms, out):
                return
            member.passed = True

    def _ask(
        self,
        pending: Pending,
        run: Run,
        member: Member,
        now_ms: int,
        out: Out,
    ) -> bool:
        attempts = 1 if member.role == SHADOW else self._bounds.attempts
        task = dispatch(pending, run, member, self._instances, attempts, now_ms)
        if task is None:
            return False
        out.append(task)
        if len(member.attempts) == 1:
            self.allowance.earn()
        member.hedge_at = hedge_at(run, member, self._instances, self._bounds.hedge_ms)
        if member.hedge_at:
            self._waiting.remind(pending, member.hedge_at)
        return True

    def _hedge(self, pending: Pending, run: Run, member: Member, now_ms: int, out: Out) -> None:
        if len(member.attempts) >= self._bounds.attempts or not self.allowance.spend():
            return
        task = dispatch(
            pending, run, member, self._instances, self._bounds.attempts, now_ms, hedge=True
        )
        if task is None:
            self.allowance.give_back()
        else:
            out.append(task)

    def _go_on(self, pending: Pending, plan: Plan, number: int, now_ms: int, out: Out) -> None:
        """After a member has settled: ask the next one, or end the stage."""
        step, run = plan.steps[number], pending.runs[number]
        if step.one_by_one:
            self._ask_next(pending, plan, number, now_ms, out)
        quorum = pending.app.quorum if pending.app is not None else 0
        if is_settled(step, run, quorum):
            self._end(pending, plan, number, now_ms, out)

    def _end(self, pending: Pending, plan: Plan, number: int, now_ms: int, out: Out) -> None:
        run = pending.runs[number]
        close(plan.steps[number], run, now_ms, self._others)
        run.inputs = ()
        for member in run.members:
            if member.status == MISSING and member.role != SHADOW:
                release(member, self._instances)
        if len(plan.steps) > 1:
            self._advance(pending, plan, now_ms, out)


def _asked(pending: Pending, result: InferenceResult) -> tuple[int, Run, Member] | None:
    """Return the stage and member that a result is of; the stage must be under way."""
    for number, run in enumerate(pending.runs):
        if run.status == ASKED and (run.stage == result.stage or len(pending.runs) == 1):
            for member in run.members:
                if member.service == result.service:
                    return number, run, member
    return None
