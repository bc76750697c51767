"""What policies allow: the mode of a component, freezes, pauses, nodes that are to drain. Pure.

The one reading of them for all who decide or do something. Scopes are `installation`,
`<component>`, `<component>/<app>`, `freeze`, `freeze/<app>`, `pause` and `drain/<node>`; others ask
for something: `canary/<service>` for a new version, `share/<service>` for its share of the copies,
`avoid/<service>/<node>` for a service to leave a node, `reselect/<app>` for another selection.
`takes/<service>` tells what its copies were seen to take.
"""

from schemas.catalogue import Catalogue
from schemas.registrations import PolicySelected

OBSERVE, RECOMMEND, ACT = MODES = ("observe", "recommend", "act")
INSTALLATION, FREEZE, PAUSE, DRAIN = "installation", "freeze", "pause", "drain/"
CANARY, SHARE, AVOID, RESELECT = "canary/", "share/", "avoid/", "reselect/"
TAKES = "takes/"
STATE, ON, OFF, REASON = "state", "on", "off", "reason"


def mode_of(catalogue: Catalogue, component: str, app: str) -> str:
    """Return the mode of a component for an application; recommend where nothing is said.

    `<component>/<app>` says it for one application. Else the mode is that of the installation, or
    a more careful one of `<component>`, whose policy is there to select an algorithm.
    """
    own = _mode(catalogue, f"{component}/{app}")
    if own is not None:
        return own
    least = _mode(catalogue, INSTALLATION) or RECOMMEND
    return min(least, _mode(catalogue, component) or least, key=MODES.index)


def _mode(catalogue: Catalogue, scope: str) -> str | None:
    policy = catalogue.get(PolicySelected, scope)
    return policy.mode if policy is not None and policy.mode in MODES else None


def parameter(policy: PolicySelected, key: str) -> str:
    """Return a parameter of a policy, empty when it has none of that name."""
    return next((entry.value for entry in policy.parameters if entry.key == key), "")


def standing(catalogue: Catalogue, scope: str) -> PolicySelected | None:
    """Return the policy of a scope while it is on, else None."""
    policy = catalogue.get(PolicySelected, scope)
    return policy if policy is not None and parameter(policy, STATE) == ON else None


def frozen(catalogue: Catalogue, app: str = "") -> PolicySelected | None:
    """Return what forbids every deed, for one application or altogether; None when nothing does."""
    found = standing(catalogue, FREEZE)
    return standing(catalogue, f"{FREEZE}/{app}") if found is None and app else found


def thawed(catalogue: Catalogue, app: str) -> int:
    """Return when the last freeze of an application ended, or of all, ms; 0 when there was none."""
    told = (catalogue.get(PolicySelected, scope) for scope in (FREEZE, f"{FREEZE}/{app}"))
    ended = (p.selected_at for p in told if p is not None and parameter(p, STATE) != ON)
    return max(ended, default=0)


def paused(catalogue: Catalogue) -> bool:
    """Return whether place is to decide nothing and let requests wait."""
    return standing(catalogue, PAUSE) is not None


def draining(catalogue: Catalogue) -> frozenset[str]:
    """Return the nodes that somebody has set to drain, whatever their heartbeats say."""
    return frozenset(
        scope.removeprefix(DRAIN)
        for scope, policy in catalogue.of(PolicySelected).items()
        if scope.startswith(DRAIN) and parameter(policy, STATE) == ON
    )
