"""What select could not heed, as actions: policies that make no sense, algorithms that fail."""

from processors.selecting.state import AppState
from processors.selecting.world import AppView
from schemas.decisions import ActionTaken
from schemas.identity import stable_id

_MOST_KEPT = 64


def ids(view: AppView) -> tuple[str, ...]:
    """Return the ids of what could not be heeded in a view."""
    return tuple(
        stable_id("select", policy.event_id if policy else "", said)
        for policy, said in view.strange
    ) + tuple(stable_id("select", "pin", name) for name in _strangers(view))


def policies(state: AppState, view: AppView, now_ms: int) -> list[ActionTaken]:
    """Return the refusals that were not told yet, and note that they are told."""
    words = [said for _, said in view.strange]
    words += [f"{name} is pinned, but no service of it" for name in _strangers(view)]
    out = []
    for identity, said in zip(ids(view), words, strict=True):
        out += _once(state, identity, "policy.refused", said, now_ms)
    return out


def failure(state: AppState, said: str, now_ms: int) -> list[ActionTaken]:
    """Return that an algorithm failed, once for each way in which it does."""
    return _once(state, stable_id("select", "failed", said), "selector.failed", said, now_ms)


def _strangers(view: AppView) -> tuple[str, ...]:
    known = {service.service for service in view.services}
    return tuple(name for name in view.chosen.pinned if name not in known)


def _once(state: AppState, identity: str, kind: str, said: str, now_ms: int) -> list[ActionTaken]:
    if identity in state.refused:
        return []
    state.refused = (*state.refused, identity)[-_MOST_KEPT:]
    return [
        ActionTaken(
            event_id=stable_id(kind, state.app, state.consumer, identity),
            target=state.app,
            kind=kind,
            status="refused",
            policy=f"select/{state.app}",
            reason=f"{state.app}: {said}",
            taken_at=now_ms,
        )
    ]
