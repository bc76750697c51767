"""How the selection of one application goes on: the rules, one after another."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from processors.selecting import learning, reasons, refusing, trials
from processors.selecting.choice import (
    PINNED,
    Choice,
    choose,
    fair_since,
    learn_correlation,
    pinned,
    usable,
)
from processors.selecting.ensembles import NOBODY, Found, Scored
from processors.selecting.estimating import evidence_of, explainable, labels_of
from processors.selecting.own import VALUED
from processors.selecting.parameters import SelectParams
from processors.selecting.profiles import Series, after
from processors.selecting.proposals import WEIR, Algorithm
from processors.selecting.state import AppState, Trial, Trigger
from processors.selecting.triggers import forget, newest, raise_trigger
from processors.selecting.words import (
    Moment,
    Selection,
    announce,
    demand,
    explaining,
    first_words,
    kept_words,
    members_of,
    missed_words,
    none_of_its_own,
    switched_words,
    trial_words,
)
from processors.selecting.world import AppView, all_ready, down, failed_services, ready
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected

_MOST_BACK_OFF = 5
_CAUSES_SEEN = 16


@dataclass(slots=True)
class Steps:
    """One application at one moment; `out` collects what follows.

    `elsewhere` are the copies that its other ensembles need of services.
    """

    state: AppState
    view: AppView
    params: SelectParams
    now: int
    catalogue: Catalogue
    algorithms: Mapping[str, Algorithm]
    elsewhere: Mapping[str, int]
    out: list[Event] = field(default_factory=list)

    def run(self) -> list[Event]:
        """Do what is due now; doing it again at once would change nothing."""
        self._sign()
        self.out += refusing.policies(self.state, self.view, self.now)
        if self.view.mode == "observe":
            return self.out
        if not self.state.generation:
            self._first()
        elif self._lost():
            self._replace()
        elif self.state.trial is not None:
            self._end_trial(self.state.trial)
        else:
            self._react()
        return self.out

    def idle(self) -> bool:
        """Return whether a look would change nothing: nothing is pending, new, lost or failed."""
        state = self.state
        pending = state.trial or state.trigger or state.violated or state.down_since
        asked = self._moved() or reasons.asked(state, self.catalogue)
        untold = set(refusing.ids(self.view)) - set(state.refused)
        if pending or asked or untold or not state.generation or self._newer() is not None:
            return False
        settled = state.signature == state.settled == self.view.signature
        return settled and all_ready(state.app, self.catalogue, self.now)

    def look_at_instances(self) -> None:
        """Take note of services that cannot be run; a new registration gives them a new chance."""
        failed = dict(failed_services(self.view, self.catalogue, self.now))
        new = tuple(mark for mark in failed if mark not in self.state.failed)
        if new:
            self.state.failed = tuple(sorted((*self.state.failed, *new)))
        state = self.state
        if down(state.services, self.view, self.catalogue, self.now):
            state.down_since = state.down_since or self.now
        elif state.down_since:
            state.down_since = 0
            state.quiet_until = max(state.quiet_until, self.now + self.params.recovery_ms)

    def adopt(self) -> None:
        """Go on from the newest selection that the catalogue holds, when the state is older."""
        newest_known = self._newer()
        if newest_known is None:
            return
        state = self.state
        state.generation = newest_known.generation
        state.selected_at = newest_known.selected_at
        state.members = tuple(m for m in newest_known.members if m.role != "shadow")
        state.shadows = tuple(m.service for m in newest_known.members if m.role == "shadow")
        state.demanded = tuple(service.service for service in self.view.services)
        state.signature = self.view.signature
        state.settled = self.view.signature if state.members else ""
        if state.shadows:
            state.since = newest_known.selected_at
            state.trial = Trial(started=self.now, signature=state.signature)

    def _newer(self) -> EnsembleSelected | None:
        key = "/".join(filter(None, (self.state.app, self.state.consumer)))
        known = self.catalogue.get(EnsembleSelected, key)
        return known if known is not None and known.generation > self.state.generation else None

    def _sign(self) -> None:
        if self.state.signature != self.view.signature:
            self.state.signature, self.state.signed_at = self.view.signature, self.now
            marks = {service.service for service in self.view.services}
            self.state.profiles = tuple(p for p in self.state.profiles if p.service in marks)

    def _settled(self) -> bool:
        return self.now - self.state.signed_at >= self.params.settle_ms

    def _first(self) -> None:
        self.state.trigger = None
        if not self._settled():
            return
        choice = self._choose(0)
        if choice is not None:
            self.state.settled = self.state.signature
            self._announce(choice.best, choice, first_words(choice), self.view.causes)

    def _lost(self) -> tuple[str, ...]:
        """Return members that failed, and those that were removed once the catalogue is quiet."""
        there = {service.service for service in usable(self.state, self.view)}
        registered = {service.service for service in self.view.services}
        settled = self._settled()
        return tuple(
            service
            for service in self.state.services
            if service not in there and (settled or service in registered)
        )

    def _replace(self) -> None:
        """Select without a trial when a member is gone or cannot run: there is no time for one."""
        lost = ", ".join(self._lost())
        reason = f"{lost} can no longer serve: removed, or failed on every node"
        choice = self._choose(self.state.since)
        if choice is None:
            self._nothing_left(reason)
            return
        words = switched_words(reason, choice)
        self._finish(choice)
        self._announce(choice.best, choice, words, self._causes(self.view.causes[:1]))

    def _nothing_left(self, reason: str) -> None:
        """Say that no service is left; whatever is registered next begins a new concept."""
        self.state.since, self.state.shadows, self.state.trial = 0, (), None
        nothing = Choice(NOBODY, Found((), "exact", 0.0), (), (), 0)
        words = f"{reason}; no service is left to choose from"
        self._announce(NOBODY, nothing, words, self.view.causes[:1])

    def _react(self) -> None:
        state = self.state
        outage = state.down_since and self.now - state.down_since < self.params.patience_ms
        waiting = bool(outage) or self.now < state.quiet_until
        if not waiting:
            reasons.still_violated(state)
        if state.signature != state.settled and self._settled():
            state.settled = state.signature
            reasons.changed(state, self.view)
            waiting = waiting and state.trigger is not None and state.trigger.kind != "catalogue"
        asked = reasons.asked(state, self.catalogue)
        if asked is not None and (state.trigger is None or state.trigger.kind != asked.kind):
            raise_trigger(state, asked)
        if state.trigger is None and (moved := self._moved()):
            raise_trigger(state, moved)
        if state.trigger is not None and not waiting:
            self._begin(state.trigger)

    def _go_on(self, choice: Choice) -> None:
        """Leave the ensemble as it is; what it learns from, and the plan, begin anew."""
        state = self.state
        state.trigger, state.selected_at = None, self.now
        state.promised_ms = choice.present.latency_ms
        self._draw_on()

    def _draw_on(self) -> None:
        names = [service.service for service in usable(self.state, self.view)]
        learning.served(self.state, names, self.view.chosen.told)

    def _moved(self) -> Trigger | None:
        return reasons.moved(self.state, self.view, self.now, self.params.explore_ms)

    def _choose(self, since: int) -> Choice | None:
        choice = choose(self.state, self.view, since, self.params.known, self.algorithms)
        if choice is not None and choice.failure:
            self.out += refusing.failure(self.state, choice.failure, self.now)
        return choice

    def _better(self, choice: Choice) -> bool:
        """Return whether another ensemble takes over: one that gains enough, or was asked for."""
        best, present = choice.best, choice.present
        if not present.members:
            return True
        wanted = (choice.joins.service,) if choice.joins else ()
        if wanted != self.state.explaining:
            return True
        if choice.found.algorithm == PINNED or (self.view.chosen.name or WEIR) not in VALUED:
            return choice.others_are_best or choice.moves
        return best.value - present.value >= self.params.min_gain

    def _begin(self, trigger: Trigger) -> None:
        """Try the candidates that too little is known of, or select at once."""
        state = self.state
        state.since = max(state.since, trigger.since)
        services = [s.service for s in usable(state, self.view)]
        others = tuple(s for s in services if s not in state.services)
        least = self.params.trial_min
        lacking = [s for s in services if evidence_of(state, s, state.since).count < least]
        settled = bool(state.consumer or pinned(state, self.view))
        quick = settled or trigger.kind in ("exploration", "plan")
        if quick or not state.since or not others or not lacking:
            self._decide(trigger, state.since)
            return
        choice = self._choose(state.since)
        if choice is None:
            return
        state.shadows = others
        state.trial = Trial(started=self.now, signature=state.signature)
        words = trial_words(trigger.reason, others, self.params)
        self._announce(choice.present, choice, words, trigger.causes)

    def _end_trial(self, trial: Trial) -> None:
        state = self.state
        there = {service.service for service in usable(state, self.view)}
        state.shadows = tuple(s for s in state.shadows if s in there)
        since = fair_since(state)
        counts = {s: evidence_of(state, s, since).count for s in there}
        gone = down(state.services, self.view, self.catalogue, self.now)
        trials.note(state, trial, ready(self.view, self.catalogue, self.now), self.now)
        seen = trials.progress(state, trial, counts, gone, self.params, self.now)
        trigger = state.trigger or Trigger(
            kind="violation", reason="a trial was under way", since=since
        )
        if pinned(state, self.view):
            self._decide(trigger, since)
            return
        if self._explained(since) or self._asked_anew(trial, seen) or seen.unjudged:
            return
        if seen.absent and self.now - trial.started < self.params.serve_ms:
            proved = set(seen.judged) & set(state.shadows)
            if proved and seen.judged != trial.compared:
                self._meanwhile(trial, trigger, seen)
            return
        missed = missed_words(trials.never_served(state, trial), self.params)
        self._decide(replace(trigger, reason=trigger.reason + missed), since)

    def _explained(self, since: int) -> bool:
        """Let who explains join the members during a trial, where nobody does; tell whether so."""
        state = self.state
        able = {s.service for s in usable(state, self.view) if explainable(s)}
        lacking = self.view.explainable and not able & {*state.services, *state.explaining}
        if not (lacking and able):
            return False
        choice = self._choose(since)
        if choice is None or choice.joins is None:
            return False
        if set(choice.present.services) != set(state.services):  # too little is known of a member
            return False
        words = f"{choice.joins.service} joins to explain; trial: {', '.join(state.shadows)} shadow"
        self._announce(choice.present, choice, words, self._causes(self.view.causes[:1]))
        return True

    def _asked_anew(self, trial: Trial, seen: trials.Progress) -> bool:
        """Heed a contract, application or policy that changed during a trial; tell whether so.

        Who is best by what is known serves at once; the trial goes on for who is not yet judged.
        """
        if trial.signature == self.view.signature or not self._settled():
            return False
        trial.signature = self.view.signature
        return self._meanwhile(trial, reasons.of_change(self.state, self.view), seen)

    def _meanwhile(self, trial: Trial, trigger: Trigger, seen: trials.Progress) -> bool:
        """Let those serve who have proved better, while others of the trial are still awaited.

        Tell whether another ensemble serves now.
        """
        state, since = self.state, fair_since(self.state)
        trial.compared = seen.judged
        learn_correlation(state, self.view, since)
        choice = self._choose(since)
        if choice is None or not self._better(choice):
            return False
        state.since = trial.since = since
        awaited = (*seen.unjudged, *seen.absent)
        state.shadows = tuple(s for s in awaited if s not in choice.best.services)
        self._other_answers(choice)
        words = f"{switched_words(trigger.reason, choice)}; awaited still: {', '.join(awaited)}"
        self._announce(choice.best, choice, words, self._causes(trigger.causes))
        return True

    def _decide(self, trigger: Trigger, since: int) -> None:
        """Select exactly on what is known; keep the ensemble unless there is enough to gain."""
        state = self.state
        learn_correlation(state, self.view, since)
        learning.learn(state)
        choice = self._choose(since)
        if choice is None:
            return
        best, present = choice.best, choice.present
        switch = self._better(choice)
        tried = bool(state.shadows)
        causes = self._causes(trigger.causes)
        if trigger.kind in ("exploration", "plan"):
            if not switch:
                self._go_on(choice)
                return
        elif trigger.kind != "catalogue" or tried:
            led = switch or bool(state.trial and state.trial.since)
            state.futile = 0 if led else min(_MOST_BACK_OFF, state.futile + 1)
            rest = self.params.cooldown_ms << max(0, state.futile - 1)
            state.quiet_until = self.now + rest
        elif not switch and state.algorithm in ("", choice.found.algorithm):
            state.trigger = None
            return
        words = (
            switched_words(trigger.reason, choice)
            if switch
            else kept_words(trigger.reason, choice, self.params.min_gain)
        )
        state.since = since
        self._finish(choice)
        self._announce(best if switch else present, choice, words, causes)

    def _finish(self, choice: Choice) -> None:
        state = self.state
        state.trial = state.trigger = None
        if not state.shadows or set(state.shadows) - set(choice.unknown):
            state.judged = max(state.judged, newest(state))
        state.shadows = ()
        if state.since:
            forget(state, state.since)
        self._other_answers(choice)

    def _other_answers(self, choice: Choice) -> None:
        """Forget answers of the ensemble before, where another takes over."""
        if choice.others_are_best:
            self.state.responses = Series()
            self.state.answers = after(self.state.answers, self.now)

    def _announce(
        self, scored: Scored, choice: Choice, reason: str, causes: tuple[str, ...]
    ) -> None:
        state = self.state
        state.generation += 1
        state.selected_at = self.now
        state.algorithm = choice.found.algorithm
        state.promised_ms = scored.latency_ms
        labels = labels_of(state, self.view)
        joins = choice.joins if scored is choice.present else choice.explains
        state.members = (*members_of(scored, labels), *explaining(joins, len(labels)))
        self._draw_on()
        selection = Selection(scored, choice, reason, causes)
        at = Moment(self.now, self.catalogue.sources(), self.elsewhere)
        self.out += announce(state, self.view, selection, at)
        state.demanded = tuple(service.service for service in self.view.services)

    def _causes(self, first: tuple[str, ...]) -> tuple[str, ...]:
        """Return causes: the triggers, then the newest observation of every profile."""
        ids = [profile.accuracy.latest or profile.latency.latest for profile in self.state.profiles]
        ids.append(self.state.answers.latest)
        return (*first, *[i for i in ids if i][:_CAUSES_SEEN])


def retired(state: AppState, now_ms: int) -> list[Event]:
    """End the ensemble of a consumer that has none of its own any more: without members."""
    if not state.generation:
        return []
    state.generation += 1
    return [none_of_its_own(state, now_ms)]


def dissolve(state: AppState, now_ms: int) -> list[Event]:
    """End what belongs to an application that is no longer registered."""
    if not state.demanded:
        return []
    state.members, state.shadows, state.generation = (), (), state.generation + 1
    reason = f"{state.app} is no longer registered"
    return [demand(state, None, Moment(now_ms), reason, (), str(now_ms))]
