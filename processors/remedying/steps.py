"""What follows for one finding, one remedy: is it due, allowed, sensible; then it is done. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from processors.defining.plugins import PluginError
from processors.remedying import telling
from processors.remedying.actions import NOTIFY
from processors.remedying.base import Action, Case, Plan, Refusal, pairs
from processors.remedying.ledger import Ledger
from processors.remedying.state import DRIFT, Deed, Held, Open, Reply, Rest
from schemas.authority import ACT, OBSERVE, REASON, frozen, mode_of, parameter
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.quality import RemedyDefined

COMPONENT = "remediate"
FIGHT_MS = 3_600_000
"""So long what helped is not turned into its opposite."""
PAUSE_MS = 10_000
"""So long a remedy waits at least that could do nothing."""
_MOST_BACK_OFF = 5
_REPLIES = 32


@dataclass(frozen=True, slots=True)
class Against:
    """Why nothing is done, by which policy, and when (ms) it is tried again; 0: soon."""

    why: str
    policy: str = ""
    until: int = 0


@dataclass(frozen=True, slots=True)
class Steps:
    """The world at one moment, and the ledger, which changes."""

    ledger: Ledger
    actions: Mapping[str, Action]
    catalogue: Catalogue
    now: int

    def answer(self, stands: Open, remedy: RemedyDefined) -> list[Event]:
        """Do what a remedy says about a finding, if it is time; about a drift once."""
        reply = self._reply(stands, remedy)
        if remedy.action == NOTIFY:
            return self._notify(stands, remedy, reply)
        found = stands.finding
        if self.now < reply.not_before or (found.on == DRIFT and reply.attempts):
            return []
        if mode_of(self.catalogue, COMPONENT, found.app) == OBSERVE:
            return []
        case = Case(remedy, found, self.catalogue, self.now, reply.attempts)
        plan = planned(self.actions[remedy.action], case)
        if isinstance(plan, Refusal):
            return self._refuse(stands, case, reply, "", Against(plan.reason))
        return self._weigh(stands, case, reply, plan)

    def resolve(self, stands: Open, remedy: RemedyDefined) -> list[Event]:
        """Tell whom a finding was told that it is over."""
        reply = self._reply(stands, remedy)
        if remedy.action != NOTIFY or not reply.told:
            return []
        case = Case(remedy, stands.finding, self.catalogue, self.now, reply.attempts)
        self._keep(stands, replace(reply, told=""))
        return [telling.notified(case, telling.RESOLVED)]

    def _notify(self, stands: Open, remedy: RemedyDefined, reply: Reply) -> list[Event]:
        found = stands.finding
        if reply.told == found.severity:
            return []
        case = Case(remedy, found, self.catalogue, self.now, reply.attempts)
        target = f"notify/{remedy.name}/{found.key}"
        rest = self.ledger.rests.get(target)
        waits = rest is not None and self.now < rest.until and not reply.told
        if waits or self._exceeded(remedy, found.app):
            return []
        self.ledger.rest(
            Rest(
                target=target,
                app=found.app,
                until=self.now + remedy.cooldown_ms,
                remedy=remedy.name,
                at=self.now,
            )
        )
        self.ledger.count(remedy, found.app, self.now)
        self._keep(stands, replace(reply, told=found.severity, attempts=reply.attempts + 1))
        return [telling.notified(case, telling.FIRING)]

    def _weigh(self, stands: Open, case: Case, reply: Reply, plan: Plan) -> list[Event]:
        """Act, unless something is against it."""
        rest = self.ledger.rests.get(plan.target)
        against = self._forbidden(case) or self._too_soon(case, plan, rest)
        if against is not None:
            return self._refuse(stands, case, reply, plan.name, against)
        mode = mode_of(self.catalogue, COMPONENT, case.finding.app)
        if mode == ACT:
            return self._act(stands, case, reply, plan, rest)
        words = f"the mode is {mode}"
        if reply.said == words:
            return []
        later = self.now + max(PAUSE_MS, case.remedy.cooldown_ms)
        self._keep(stands, replace(reply, said=words, not_before=later))
        return [telling.step(case, plan, telling.RECOMMENDED, words)]

    def _forbidden(self, case: Case) -> Against | None:
        """Return that a freeze or the remedy's own limit lets nothing be done now."""
        remedy, app = case.remedy, case.finding.app
        stop = frozen(self.catalogue, app)
        if stop is not None:
            return Against(f"deeds are frozen: {parameter(stop, REASON)}", stop.scope)
        if self._exceeded(remedy, app):
            most = remedy.max_per_hour
            return Against(f"{remedy.name} acted {most} times within the hour, and may no more")
        return None

    def _too_soon(self, case: Case, plan: Plan, rest: Rest | None) -> Against | None:
        """Return why a target is left alone; None when it is not."""
        if rest is not None and self.now < rest.until:
            return Against(f"{plan.target} rests after {rest.remedy}", until=rest.until)
        fights = rest is not None and plan.way and rest.way and plan.way != rest.way
        if rest is not None and fights and rest.helped and self.now - rest.at < FIGHT_MS:
            return Against(f"it would turn what {rest.remedy} did to {plan.target} with success")
        if self.ledger.is_full(plan.target):
            return Against("too many targets are acted upon")
        first = self.ledger.unsettled(case.finding)
        if first is not None:
            why = (
                f"it began after {first.remedy} acted on {first.target}, which is not verified yet"
            )
            return Against(why, until=first.verify_at)
        return None

    def _act(
        self, stands: Open, case: Case, reply: Reply, plan: Plan, rest: Rest | None
    ) -> list[Event]:
        remedy = case.remedy
        said = telling.step(case, plan, telling.DONE)
        verify_at = self.now + remedy.verify_ms if remedy.verify_ms > 0 else 0
        futile = rest.futile if rest is not None else 0
        until = max(self.now + (remedy.cooldown_ms << futile), verify_at)
        self.ledger.rest(
            Rest(
                target=plan.target,
                app=case.finding.app,
                until=until,
                remedy=remedy.name,
                at=self.now,
                way=plan.way,
                futile=futile,
            )
        )
        self.ledger.count(remedy, case.finding.app, self.now)
        if verify_at:
            self.ledger.deeds[said.event_id] = Deed(
                event_id=said.event_id,
                remedy=remedy.name,
                definition=remedy.event_id,
                action=remedy.action,
                target=plan.target,
                finding=replace(case.finding, explains=self.ledger.explained(case.finding)),
                taken_at=self.now,
                verify_at=verify_at,
                undo=remedy.undo,
                memo=pairs(plan.memo),
            )
        if plan.holds:
            app, hold = case.finding.app, self.now + plan.hold_ms
            held = Held(scope=plan.holds, app=app, until=hold, deed=said.event_id)
            self.ledger.held[plan.holds] = held
        after = replace(reply, attempts=reply.attempts + 1, not_before=until, said="")
        self._keep(stands, after)
        return [said, *plan.events]

    def _refuse(
        self, stands: Open, case: Case, reply: Reply, target: str, against: Against
    ) -> list[Event]:
        """Say once why nothing is done, and try again later."""
        later = against.until or self.now + PAUSE_MS
        self._keep(stands, replace(reply, said=against.why, not_before=later))
        if reply.said == against.why:
            return []
        return [telling.refused(case, target, against.why, against.policy)]

    def _exceeded(self, remedy: RemedyDefined, app: str) -> bool:
        if remedy.max_per_hour <= 0:
            return False
        return self.ledger.acted(remedy.name, app, self.now) >= remedy.max_per_hour

    def _reply(self, stands: Open, remedy: RemedyDefined) -> Reply:
        known = (reply for reply in stands.replies if reply.remedy == remedy.event_id)
        return next(known, Reply(remedy=remedy.event_id))

    def _keep(self, stands: Open, reply: Reply) -> None:
        rest = [one for one in stands.replies if one.remedy != reply.remedy]
        stands.replies = (*rest, reply)[-_REPLIES:]


def planned(action: Action, case: Case) -> Plan | Refusal:
    """Return the plan of an action; a plug-in that raises refuses."""
    try:
        return action.plan(case)
    except PluginError as error:
        return Refusal(f"its plug-in failed: {error}")


def back_off(rest: Rest, *, helped: bool) -> None:
    """Count what did not help; after each in a row the target rests twice as long."""
    rest.helped = helped
    rest.futile = 0 if helped else min(_MOST_BACK_OFF, rest.futile + 1)
