"""replace: copies leave an instance or a node that is found wanting; place finds them another."""

from collections.abc import Mapping

from processors.remedying.base import Case, Plan, Refusal, asked_for, not_whole, whole
from schemas.authority import AVOID, DRAIN, OFF, ON, REASON, STATE, draining, standing
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.registrations import NodeReported, PolicySelected

REPLACE = "replace"
_DAY_MS = 86_400_000
_HOLD_MS = 600_000


class Replace:
    """Copies leave an instance's node (of that service alone), or a node altogether.

    `of` says which, instance or node; unless it does, the finding. The service avoids the node
    for `hold_ms` (10 minutes unless said), with 0 until somebody ends it; a node drains
    until somebody ends that, or for `hold_ms`. Of the nodes that are ready no more than a third
    drain, and always one may.
    """

    parameters: tuple[str, ...] = ("of", "hold_ms")

    def objections(self, given: Mapping[str, str]) -> list[str]:
        """Return what is wrong with them."""
        wrong = not_whole(given, "hold_ms", 0, _DAY_MS)
        if given.get("of", "node") not in ("instance", "node"):
            wrong.append(f"of is {given['of']!r:.40}; it must be instance or node")
        return wrong

    def plan(self, case: Case) -> Plan | Refusal:
        """Let a node drain, or a service avoid it."""
        of = case.given.get("of", "")
        instance = case.finding.name_of("instance")
        if of == "instance" or (not of and instance):
            return self._instance(case, instance)
        node = case.finding.name_of("node")
        if not node and instance:
            node = _home(instance, case.catalogue)[1]
        return self._node(case, node)

    def _instance(self, case: Case, instance: str) -> Plan | Refusal:
        if not instance:
            return Refusal("the finding names no instance")
        service, node = _home(instance, case.catalogue)
        if not service:
            return Refusal(f"{instance} is placed no more")
        scope = f"{AVOID}{service}/{node}"
        if standing(case.catalogue, scope) is not None:
            return Refusal(f"{service} avoids {node} already")
        hold = whole(case.given, "hold_ms", _HOLD_MS, 0, _DAY_MS)
        memo = {"scope": scope, "node": node, "service": service}
        words = f"{instance} leaves {node}"
        asked = _switched(case, scope, ON)
        holds = scope if hold else ""
        return Plan("instance", instance, words, (asked,), memo, holds=holds, hold_ms=hold)

    def _node(self, case: Case, node: str) -> Plan | Refusal:
        nodes, leaving = case.catalogue.of(NodeReported), draining(case.catalogue)
        if not node:
            return Refusal("the finding names no node")
        if node not in nodes:
            return Refusal(f"{node} is gone")
        if node in leaving:
            return Refusal(f"{node} drains already")
        ready = [n for n, told in nodes.items() if told.status == "ready" and n not in leaving]
        most = max(1, (len(ready) + len(leaving & nodes.keys())) // 3)
        if len(leaving & nodes.keys()) >= most or not set(ready) - {node}:
            return Refusal(f"of {len(ready)} ready nodes no more may be drained; {most} may")
        hold = whole(case.given, "hold_ms", 0, 0, _DAY_MS)
        scope, words = f"{DRAIN}{node}", f"all copies leave {node}, which drains"
        memo = {"scope": scope, "node": node, "service": ""}
        asked = _switched(case, scope, ON)
        holds = scope if hold else ""
        return Plan("node", node, words, (asked,), memo, holds=holds, hold_ms=hold)

    def undo(self, case: Case, memo: Mapping[str, str]) -> Plan | Refusal:
        """Let the node be used again, unless somebody has seen to it."""
        scope, node, service = memo["scope"], memo["node"], memo["service"]
        if standing(case.catalogue, scope) is None:
            return Refusal(f"{node} is in use again already")
        if asked_for(case.catalogue, scope) is None:
            return Refusal(f"others want {scope} to stay")
        words = f"{service} may use {node} again" if service else f"{node} is in use again"
        return Plan("node", node, words, (_switched(case, scope, OFF),))

    def carried_out(self, case: Case, memo: Mapping[str, str]) -> str:
        """Return whether copies are still placed there."""
        node, service = memo["node"], memo["service"]
        placed = case.catalogue.of(PlacementDecided).values()
        still = [p.service for p in placed if any(a.node == node for a in p.assignments)]
        still = [name for name in still if service in ("", name)]
        return f"{still[0]} is still placed on {node}" if still else ""


def _home(instance: str, catalogue: Catalogue) -> tuple[str, str]:
    """Return the service and the node of an instance, empty when it is placed nowhere."""
    for decided in catalogue.of(PlacementDecided).values():
        for one in decided.assignments:
            if one.instance == instance:
                return decided.service, one.node
    return "", ""


def _switched(case: Case, scope: str, state: str) -> PolicySelected:
    told = {STATE: state, REASON: f"remedy {case.remedy.name}", "cause": case.finding.event_id}
    return case.policy(scope, "place", told)
