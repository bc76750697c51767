"""Reasons for another selection besides what was observed: asked for, drawn again, off the plan."""

from processors.selecting import learning
from processors.selecting.choice import pinned
from processors.selecting.own import EXPLORERS
from processors.selecting.state import AppState, Trigger
from processors.selecting.triggers import raise_trigger, unjudged
from processors.selecting.wishes import EXPLORE
from processors.selecting.world import AppView
from schemas.authority import REASON, RESELECT, parameter
from schemas.catalogue import Catalogue
from schemas.registrations import PolicySelected


def asked(state: AppState, catalogue: Catalogue) -> Trigger | None:
    """Return that another selection was asked for since the last one, by a policy."""
    policy = catalogue.get(PolicySelected, f"{RESELECT}{state.app}")
    if policy is None or policy.selected_at <= state.selected_at:
        return None
    told = f"another selection is asked for: {parameter(policy, REASON)}"
    causes = tuple(filter(None, (policy.event_id, parameter(policy, "cause"))))
    return Trigger(kind="asked", reason=told, since=unjudged(state), causes=causes)


def moved(state: AppState, view: AppView, now_ms: int, explore_ms: int) -> Trigger | None:
    """Return that the algorithm in force asks for another selection by itself.

    One that explores does every `explore_ms` unless its policy says otherwise; `adaptive` when
    answers come earlier or later than it planned.
    """
    name = view.chosen.name
    if not state.generation or state.trial is not None:
        return None
    if name in EXPLORERS and not pinned(state, view):
        told = view.chosen.told.get(EXPLORE, "")
        every = int(told) if told.isdecimal() and int(told) else explore_ms
        if learning.is_due(state, now_ms, every):
            return Trigger(kind="exploration", reason=f"{name} draws again", since=state.since)
    if name == "adaptive" and (words := learning.off_plan(state)):
        return Trigger(kind="plan", reason=words, since=state.since)
    return None


def still_violated(state: AppState) -> None:
    """Raise what is violated still, where nothing else is pending."""
    if state.trigger is None and state.violated:
        reason = f"still violated: {', '.join(state.violated)}"
        raise_trigger(state, Trigger(kind="violation", reason=reason, since=unjudged(state)))


def changed(state: AppState, view: AppView) -> None:
    """Raise that the catalogue has changed."""
    raise_trigger(state, of_change(state, view))


def of_change(state: AppState, view: AppView) -> Trigger:
    """Return that the catalogue has changed."""
    return Trigger(
        kind="catalogue",
        reason="the application, its services or its contract changed",
        since=state.since,
        causes=view.causes[:2],
    )
