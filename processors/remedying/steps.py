"""What follows for one finding, one remedy: is it due, allowed, sensible; then it is done. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from processors.errors import PluginError
from processors.remedying import telling
from processors.remedying.actions import NOTIFY
from processors.remedying.base import Action, Case, Plan, Refusal, pairs
from processors.remedying.ledger import Ledger
from processors.remedying.state import DRIFT, Asker, Deed, Finding, Held, Open, Reply, Rest
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
class Turn:
    """A remedy and a finding that it answers, what it did about it before, and the case now."""

    stands: Open
    remedy: RemedyDefined
    reply: Reply
    case: Case


@dataclass(frozen=True, slots=True)
class Steps:
    """The world at one moment, and the ledger, which changes."""

    ledger: Ledger
    actions: Mapping[str, Action]
    catalogue: Catalogue
    now: int

    def answer(self, stands: Open, remedy: RemedyDefined) -> list[Event]:
        """Do what a remedy says about a finding, if it is time; about a drift once."""
        turn = self._turn(stands, remedy)
        if remedy.action == NOTIFY:
            return self._notify(turn)
        found, reply = stands.finding, turn.reply
        if self.now < reply.not_before or (found.on == DRIFT and reply.attempts):
            return []
        if mode_of(self.catalogue, COMPONENT, found.app) == OBSERVE:
            return []
        plan = planned(self.actions[remedy.action], turn.case)
        if isinstance(plan, Refusal):
            return self._refuse(turn, "", Against(plan.reason))
        return self._weigh(turn, plan)

    def resolve(self, stands: Open, remedy: RemedyDefined) -> list[Event]:
        """Tell whom a finding was told that it is over."""
        turn = self._turn(stands, remedy)
        if remedy.action != NOTIFY or not turn.reply.told:
            return []
        _keep(turn, replace(turn.reply, told=""))
        return [telling.notified(turn.case, telling.RESOLVED)]

    def _turn(self, stands: Open, remedy: RemedyDefined) -> Turn:
        known = (reply for reply in stands.replies if reply.remedy == remedy.event_id)
        reply = next(known, Reply(remedy=remedy.event_id))
        asker = Asker(
            name=remedy.name,
            event_id=remedy.event_id,
            action=remedy.action,
            parameters=remedy.parameters,
        )
        case = Case(asker, stands.finding, self.catalogue, self.now, reply.attempts)
        return Turn(stands, remedy, reply, case)

    def _notify(self, turn: Turn) -> list[Event]:
        found, remedy, reply = turn.case.finding, turn.remedy, turn.reply
        if reply.told == found.severity:
            return []
        target = f"notify/{remedy.name}/{found.key}"
        rest = self.ledger.rests.get(target)
        waits = rest is not None and self.now < rest.until and not reply.told
        if waits or self._exceeded(remedy, found.app):
            return []
        until = self.now + remedy.cooldown_ms
        self.ledger.rest(
            Rest(target=target, app=found.app, until=until, remedy=remedy.name, at=self.now)
        )
        self.ledger.count(remedy, found.app, self.now)
        _keep(turn, replace(reply, told=found.severity, attempts=reply.attempts + 1))
        return [telling.notified(turn.case, telling.FIRING)]

    def _weigh(self, turn: Turn, plan: Plan) -> list[Event]:
        """Act, unless something is against it."""
        rest = self.ledger.rests.get(plan.target)
        against = self._forbidden(turn) or self._too_soon(turn.case.finding, plan, rest)
        if against is not None:
            return self._refuse(turn, plan.name, against)
        mode = mode_of(self.catalogue, COMPONENT, turn.case.finding.app)
        if mode == ACT:
            return self._act(turn, plan, rest)
        words = f"the mode is {mode}"
        if turn.reply.said == words:
            return []
        later = self.now + max(PAUSE_MS, turn.remedy.cooldown_ms)
        _keep(turn, replace(turn.reply, said=words, not_before=later))
        return [telling.step(turn.case, plan, telling.RECOMMENDED, words)]

    def _forbidden(self, turn: Turn) -> Against | None:
        """Return that a freeze or the remedy's own limit lets nothing be done now."""
        remedy, app = turn.remedy, turn.case.finding.app
        stop = frozen(self.catalogue, app)
        if stop is not None:
            return Against(f"deeds are frozen: {parameter(stop, REASON)}", stop.scope)
        if self._exceeded(remedy, app):
            most = remedy.max_per_hour
            return Against(f"{remedy.name} acted {most} times within the hour, and may no more")
        return None

    def _too_soon(self, found: Finding, plan: Plan, rest: Rest | None) -> Against | None:
        """Return why a target is left alone; None when it is not."""
        if rest is not None and self.now < rest.until:
            return Against(f"{plan.target} rests after {rest.remedy}", until=rest.until)
        fights = rest is not None and plan.way and rest.way and plan.way != rest.way
        if rest is not None and fights and rest.helped and self.now - rest.at < FIGHT_MS:
            return Against(f"it would turn what {rest.remedy} did to {plan.target} with success")
        if self.ledger.is_full(plan.target):
            return Against("too many targets are acted upon")
        first = self.ledger.unsettled(found)
        if first is not None:
            told = f"it began after {first.asker.name} acted on {first.target}"
            return Against(f"{told}, which is not verified yet", until=first.verify_at)
        return None

    def _act(self, turn: Turn, plan: Plan, rest: Rest | None) -> list[Event]:
        remedy, found = turn.remedy, turn.case.finding
        said = telling.step(turn.case, plan, telling.DONE)
        verify_at = self.now + remedy.verify_ms if remedy.verify_ms > 0 else 0
        futile = rest.futile if rest is not None else 0
        until = max(self.now + (remedy.cooldown_ms << futile), verify_at)
        self.ledger.rest(
            Rest(
                target=plan.target,
                app=found.app,
                until=until,
                remedy=remedy.name,
                at=self.now,
                way=plan.way,
                futile=futile,
            )
        )
        self.ledger.count(remedy, found.app, self.now)
        if verify_at:
            self.ledger.deeds[said.event_id] = Deed(
                event_id=said.event_id,
                asker=turn.case.remedy,
                target=plan.target,
                finding=replace(found, explains=self.ledger.explained(found)),
                taken_at=self.now,
                verify_at=verify_at,
                undo=remedy.undo,
                memo=pairs(plan.memo),
            )
        if plan.holds:
            hold = self.now + plan.hold_ms
            held = Held(scope=plan.holds, app=found.app, until=hold, deed=said.event_id)
            self.ledger.held[plan.holds] = held
        attempts = turn.reply.attempts + 1
        _keep(turn, replace(turn.reply, attempts=attempts, not_before=until, said=""))
        return [said, *plan.events]

    def _refuse(self, turn: Turn, target: str, against: Against) -> list[Event]:
        """Say once why nothing is done, and try again later."""
        later = against.until or self.now + PAUSE_MS
        _keep(turn, replace(turn.reply, said=against.why, not_before=later))
        if turn.reply.said == against.why:
            return []
        return [telling.refused(turn.case, target, against.why, against.policy)]

    def _exceeded(self, remedy: RemedyDefined, app: str) -> bool:
        if remedy.max_per_hour <= 0:
            return False
        return self.ledger.acted(remedy.name, app, self.now) >= remedy.max_per_hour


def _keep(turn: Turn, reply: Reply) -> None:
    rest = [one for one in turn.stands.replies if one.remedy != reply.remedy]
    turn.stands.replies = (*rest, reply)[-_REPLIES:]


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
