"""Actions of others for remedies: what installed distributions name under `weir.remedies`.

An entry is a function or class that, called without arguments, gives a
`processors.remedying.base.Action`; its name is what `action` of a remedy says. The names of Weir's
own actions stay theirs.
"""

from collections.abc import Mapping
from importlib.metadata import EntryPoint

from processors.errors import PluginError
from processors.remedying.actions import ACTIONS, NOTIFY
from processors.remedying.base import ASKING, GROUP, Action, Case, Plan, Refusal, broken_laws
from processors.remedying.state import DRIFT, KINDS, Asker, Finding
from schemas.catalogue import Catalogue
from streams.plugins.attempts import attempted
from workers import plugin_points
from workers.plugin_points import Unusable


class Guarded:
    """An action of others; it raises nothing but processors.errors.PluginError."""

    def __init__(self, action: Action, parameters: tuple[str, ...]) -> None:
        self._action = action
        self.parameters = parameters

    def objections(self, given: Mapping[str, str]) -> list[str]:
        """Return what the action says."""
        return [str(each) for each in attempted(self._action.objections, given)]

    def plan(self, case: Case) -> Plan | Refusal:
        """Return what the action says, if it may."""
        return _allowed(attempted(self._action.plan, case))

    def undo(self, case: Case, memo: Mapping[str, str]) -> Plan | Refusal:
        """Return what the action says, if it may."""
        return _allowed(attempted(self._action.undo, case, memo))

    def carried_out(self, case: Case, memo: Mapping[str, str]) -> str:
        """Return what the action says."""
        return str(attempted(self._action.carried_out, case, memo))


def installed() -> dict[str, Action]:
    """Return actions of others by name; those that cannot be had are logged and left out."""
    return plugin_points.installed(GROUP, objection, made)


def objection(name: str) -> str:
    """Return why an action of others cannot have a name; empty when it can."""
    return "it has the name of one of Weir's own" if name in (NOTIFY, *ACTIONS) else ""


def made(point: EntryPoint) -> Action:
    """Return an action, guarded. Raises Unusable, and whatever its maker raises."""
    action: object = point.load()()
    if not isinstance(action, Action):
        raise Unusable(f"{point.value} makes a {type(action).__name__}, which is no Action")
    return Guarded(action, tuple(str(name) for name in action.parameters))


def laws_broken(action: Action) -> list[str]:
    """Return the laws that an action breaks in cases of every kind. What it raises comes out."""
    return broken_laws(
        action, tuple(_case(on, bare=bare) for on in KINDS for bare in (False, True))
    )


def _allowed(said: object) -> Plan | Refusal:
    if not isinstance(said, Plan | Refusal):
        raise PluginError(f"it gave a {type(said).__name__}, which is no Plan and no Refusal")
    strangers = (
        [] if isinstance(said, Refusal) else [e for e in said.events if type(e) not in ASKING]
    )
    if strangers:
        raise PluginError(f"it may not make a {type(strangers[0]).__name__}")
    return said


def _case(on: str, *, bare: bool) -> Case:
    """Return a case: with a service, an instance and a node; or with none."""
    remedy = Asker(name="law", event_id="remedy-law", action="it")
    service, instance, node = ("", "", "") if bare else ("s", "s.a", "a")
    finding = Finding(
        key=f"key-{on}",
        on=on,
        event_id=f"found-{on}",
        first=f"found-{on}",
        app="app",
        metric="latency",
        bad=9.0,
        good=1.0,
        retrain=on == DRIFT,
        service=service,
        instance=instance,
        node=node,
    )
    return Case(remedy, finding, Catalogue(), 1_700_000_000_000)
