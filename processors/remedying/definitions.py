"""Whether a remedy can be followed: its finding, its action, its parameters, its times. Pure."""

from collections.abc import Iterator, Mapping

from processors.errors import PluginError
from processors.remedying.actions import NOTIFY, RETRAIN
from processors.remedying.base import Action
from processors.remedying.findings import SEVERITIES
from processors.remedying.state import DRIFT, KINDS
from schemas.quality import RemedyDefined

TIERS = ("rules", "anomaly", "diagnosis")
RECEIVERS = ("webhook", "alertmanager")
WEEK_MS = 604_800_000
_MOST_ACTIONS = 1_000
_RECEIVER = "receiver"


def objections(remedy: RemedyDefined, actions: Mapping[str, Action]) -> list[str]:
    """Return what is wrong with a remedy, each with its field first; nothing for a right one."""
    return [f"{field}: {told}" for field, told in _objections(remedy, actions)]


def _objections(remedy: RemedyDefined, actions: Mapping[str, Action]) -> Iterator[tuple[str, str]]:
    if remedy.on not in KINDS:
        yield "on", f"{remedy.on!r} is none of {', '.join(KINDS)}"
    if remedy.tier and (remedy.on != "quality" or remedy.tier not in TIERS):
        yield "tier", f"{remedy.tier!r}: only quality has tiers, {', '.join(TIERS)}"
    if remedy.min_severity and remedy.min_severity not in SEVERITIES:
        yield "min_severity", f"{remedy.min_severity!r} is none of {', '.join(SEVERITIES)}"
    for name, most in (
        ("cooldown_ms", WEEK_MS),
        ("verify_ms", WEEK_MS),
        ("max_per_hour", _MOST_ACTIONS),
    ):
        value = getattr(remedy, name)
        if not 0 <= value <= most:
            yield name, f"{value} is not within 0 and {most}"
    if remedy.undo and not remedy.verify_ms:
        yield "undo", "it is undone when it did not help, and verify_ms says when that is known"
    yield from _of_action(remedy, actions)


def _of_action(remedy: RemedyDefined, actions: Mapping[str, Action]) -> Iterator[tuple[str, str]]:
    given = {entry.key: entry.value for entry in remedy.parameters}
    if len(given) < len(remedy.parameters):
        yield "parameters", "one is given twice"
    if remedy.action == NOTIFY:
        known: tuple[str, ...] = (_RECEIVER,)
        if given.get(_RECEIVER, RECEIVERS[0]) not in RECEIVERS:
            told = f"{given[_RECEIVER]!r} is none of {', '.join(RECEIVERS)}"
            yield f"parameters.{_RECEIVER}", told
        if remedy.verify_ms:
            yield "verify_ms", "a notification mends nothing, so that there is nothing to verify"
    elif remedy.action in actions:
        known = actions[remedy.action].parameters
        if remedy.action == RETRAIN and remedy.on != DRIFT:
            yield "on", "retrain answers drifts alone: they say on which data to train"
        for wrong in _tried(actions[remedy.action], given):
            yield "parameters", wrong
    else:
        yield "action", f"{remedy.action!r} is none of {', '.join(sorted((*actions, NOTIFY)))}"
        return
    for name in sorted(given.keys() - set(known)):
        told = f"{remedy.action} has no such parameter; known: {', '.join(known) or 'none'}"
        yield f"parameters.{name}", told


def _tried(action: Action, given: Mapping[str, str]) -> list[str]:
    try:
        return action.objections(given)
    except PluginError as error:
        return [f"its plug-in failed: {error}"]
