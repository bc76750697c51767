"""What algorithms learn between selections, and when they ask for the next one by themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from processors.selecting.bandits import chances, gamma_of
from processors.selecting.profiles import after, newest_end, summary
from processors.selecting.state import AppState, Arm
from processors.selecting.triggers import newest

_LEAST_RESPONSES = 20
_OFF_PLAN = 0.25


def learn(state: AppState) -> None:
    """Add what members cost since they were last judged to what exploring has cost with them.

    A loss is the share of wrong answers, or of disagreeing ones where no truth is known.
    """
    state.arms = tuple(_judged(state, arm) for arm in state.arms)


def _judged(state: AppState, arm: Arm) -> Arm:
    profile = state.profile(arm.service)
    series = profile.accuracy if state.labelled else profile.agreement
    fresh = summary(after(series, arm.judged))
    if arm.chance <= 0 or not fresh.count:
        return arm
    loss = arm.loss + (1.0 - fresh.mean) / arm.chance
    return replace(arm, loss=loss, judged=newest_end(series))


def served(state: AppState, services: Sequence[str], told: Mapping[str, str]) -> None:
    """Note with which chance each service serves from now on, where an algorithm draws them."""
    if state.algorithm != "exp3":
        state.arms = ()
        return
    known = {arm.service: arm for arm in state.arms}
    losses = {name: arm.loss for name, arm in known.items()}
    shares = chances(services, losses, gamma_of(told))
    since = newest(state)
    state.arms = tuple(
        Arm(
            service=name,
            loss=losses.get(name, 0.0),
            chance=share if name in state.services else 0.0,
            judged=max(since, known[name].judged) if name in known else since,
        )
        for name, share in zip(services, shares, strict=True)
    )


def is_due(state: AppState, now_ms: int, every_ms: int) -> bool:
    """Return whether an algorithm that explores selects again: in time, and if it saw something."""
    return now_ms - state.selected_at >= every_ms and newest(state) > state.selected_at


def off_plan(state: AppState) -> str:
    """Return how answers are earlier or later than the plan by a quarter; empty when they are not.

    Only answers that came since the plan was made tell.
    """
    seen = summary(after(state.responses, state.selected_at))
    if seen.count < _LEAST_RESPONSES or state.promised_ms <= 0:
        return ""
    off = seen.mean / state.promised_ms - 1.0
    if abs(off) <= _OFF_PLAN:
        return ""
    word = "later" if off > 0 else "earlier"
    return f"answers come {abs(off):.0%} {word} than planned: {seen.mean:.1f} ms"
