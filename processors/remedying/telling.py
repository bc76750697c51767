"""What remedy says: every step is an ActionTaken, with what it followed from. Pure."""

from collections.abc import Mapping

from processors.remedying.base import Case, Plan, pairs, unpaired
from processors.remedying.state import Deed, Finding
from schemas.decisions import ActionTaken
from schemas.identity import stable_id

DONE, RECOMMENDED, REFUSED, FAILED = "done", "recommended", "refused", "failed"
FIRING, RESOLVED = "firing", "resolved"
NOTIFIED, VERIFIED, UNDONE, ENDED = (
    f"remedy.{what}" for what in ("notify", "verified", "undone", "ended")
)
_MOST_WORDS = 500


def step(case: Case, plan: Plan, status: str, why: str = "") -> ActionTaken:
    """Return that an action was taken, or would be."""
    found = case.finding
    words = f"{plan.words}: {described(found)}" if not why else f"{why}: would do: {plan.words}"
    told = {"target": plan.target, "finding": found.key, "attempt": str(case.attempt + 1)}
    return ActionTaken(
        event_id=stable_id(case.identity, status),
        target=plan.name,
        kind=f"remedy.{case.remedy.action}",
        status=status,
        policy=case.remedy.name,
        reason=words[:_MOST_WORDS],
        parameters=pairs(told | dict(plan.memo)),
        taken_at=case.now_ms,
        causes=_causes(found, case.remedy.event_id),
        app=found.app,
    )


def refused(case: Case, target: str, why: str, policy: str = "") -> ActionTaken:
    """Return that a remedy did nothing, and why; of one id for one reason and attempt."""
    found = case.finding
    return ActionTaken(
        event_id=stable_id(case.identity, REFUSED, why),
        target=target or found.app,
        kind=f"remedy.{case.remedy.action}",
        status=REFUSED,
        policy=policy or case.remedy.name,
        reason=f"{why}; {described(found)}"[:_MOST_WORDS],
        parameters=pairs({"finding": found.key, "remedy": case.remedy.name}),
        taken_at=case.now_ms,
        causes=_causes(found, case.remedy.event_id),
        app=found.app,
    )


def verified(
    deed: Deed, helped: bool | None, why: str, status: str, latest: str, now_ms: int
) -> ActionTaken:
    """Return whether an action helped; `latest` is the newest event on its finding."""
    causes = (deed.event_id, latest or deed.finding.event_id)
    return _after(deed, VERIFIED, status, why, now_ms, causes, helped)


def undone(deed: Deed, plan: Plan, now_ms: int) -> ActionTaken:
    """Return that an action was taken back."""
    causes = (deed.event_id, _identity(deed, VERIFIED))
    return _after(deed, UNDONE, DONE, f"{plan.words}: it did not help", now_ms, causes, None)


def not_undone(deed: Deed, why: str, status: str, now_ms: int) -> ActionTaken:
    """Return that an action was not taken back, though it did not help."""
    causes = (deed.event_id, _identity(deed, VERIFIED))
    return _after(deed, UNDONE, status, f"it stays: {why}", now_ms, causes, None)


def notified(case: Case, state: str) -> ActionTaken:
    """Return that somebody is to be told of a finding, or that it is over.

    All of one finding have the parameter `finding` in common. notify carries it out.
    """
    found = case.finding
    told = {"state": state, "finding": found.key, "since": str(found.since)}
    told |= {name: value for name, value in case.given.items() if name == "receiver"}
    for name in ("stage", "service", "instance", "node", "metric", "rule", "tier", "severity"):
        if value := getattr(found, name):
            told[name] = value
    told |= {"on": found.on, "first": found.first}
    if found.suspects:
        told["suspect"] = f"{found.suspects[0].kind} {found.suspects[0].name}"
    return ActionTaken(
        event_id=stable_id(
            "notify", case.remedy.name, found.first, found.severity, case.attempt, state
        ),
        target=found.app or found.node,
        kind=NOTIFIED,
        status=DONE,
        policy=case.remedy.name,
        reason=described(found)[:_MOST_WORDS],
        parameters=pairs(told),
        taken_at=case.now_ms,
        causes=_causes(found, case.remedy.event_id),
        app=found.app,
    )


def crowded(found: Finding, most: int, now_ms: int) -> ActionTaken:
    """Return that a finding is let go of, since its application has too many newer ones."""
    return ActionTaken(
        event_id=stable_id("remedy", "crowded", found.first),
        target=found.app,
        kind="remedy.forgotten",
        status=REFUSED,
        policy="",
        reason=f"more than {most} findings stand; the oldest is let go: {described(found)}",
        taken_at=now_ms,
        causes=(found.event_id,),
        app=found.app,
    )


def ended(scope: str, deed: str, app: str, now_ms: int) -> ActionTaken:
    """Return that a policy which was to hold for a time is ended."""
    return ActionTaken(
        event_id=stable_id("remedy", "ended", scope, deed),
        target=scope,
        kind=ENDED,
        status=DONE,
        policy=scope,
        reason=f"{scope} is ended: its time is over",
        taken_at=now_ms,
        causes=(deed,),
        app=app,
    )


def described(found: Finding) -> str:
    """Return a finding in words."""
    where = found.instance or found.service or found.stage or found.app or found.node
    value = "" if found.bad is None else f" is {found.bad:.4g}"
    value += "" if found.good is None or not value else f", {found.good:.4g} would be right"
    return f"{found.on} {found.rule}: {found.metric or 'it'} of {where or 'all'}{value}".strip()


def _after(
    deed: Deed,
    kind: str,
    status: str,
    why: str,
    now_ms: int,
    causes: tuple[str, ...],
    helped: bool | None,
) -> ActionTaken:
    told: Mapping[str, str] = {
        "action": deed.asker.action,
        "deed": deed.event_id,
        "target": deed.target,
    }
    return ActionTaken(
        event_id=_identity(deed, kind)
        if status != REFUSED
        else stable_id(kind, deed.event_id, why),
        target=deed.target.partition("/")[2],
        kind=kind,
        status=status,
        policy=deed.asker.name,
        reason=why[:_MOST_WORDS],
        parameters=pairs({**told, **unpaired(deed.memo)}),
        helped=helped,
        taken_at=now_ms,
        causes=causes,
        app=deed.finding.app,
    )


def _identity(deed: Deed, kind: str) -> str:
    return stable_id(kind, deed.event_id)


def _causes(found: Finding, definition: str) -> tuple[str, ...]:
    first = (found.first,) if found.first != found.event_id else ()
    return (found.event_id, *first, definition)
