"""How long a trial lasts: until everyone who serves is judged, from when each serves.

A candidate's time begins when an instance of it is ready or its first result is seen, so that a
worker that starts slowly costs no candidate its evidence. Who does not serve is waited for up to
`serve_ms`; what is known by then of the others is acted on meanwhile.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from processors.selecting.parameters import SelectParams
from processors.selecting.profiles import newest_end
from processors.selecting.state import AppState, Serving, Trial


@dataclass(frozen=True, slots=True)
class Progress:
    """Who of a trial was judged, who serves and was not yet, and who does not serve."""

    judged: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def note(state: AppState, trial: Trial, ready: Collection[str], now_ms: int) -> None:
    """Take note of shadows that have begun to serve: they are `ready`, or results are there."""
    begun = {one.service for one in trial.serving}
    new = tuple(
        Serving(service=shadow, since=now_ms)
        for shadow in state.shadows
        if shadow not in begun and (shadow in ready or _answered(state, shadow, trial.started))
    )
    trial.serving += new


def _answered(state: AppState, service: str, since: int) -> bool:
    profile = state.profile(service)
    return any(newest_end(s) > since for s in (profile.accuracy, profile.latency))


def progress(
    state: AppState,
    trial: Trial,
    counts: Mapping[str, int],
    down: Collection[str],
    params: SelectParams,
    now_ms: int,
) -> Progress:
    """Return how far a trial is; `counts` are judged results, `down` are members without instances.

    Members are compared with shadows, so that their time begins with the first shadow's.
    """
    since = {one.service: one.since for one in trial.serving}
    if since:
        since |= dict.fromkeys(set(state.services) - set(down), min(since.values()))
    found = Progress()
    for service in (*state.services, *state.shadows):
        if service not in since:
            found = replace(found, absent=(*found.absent, service))
        elif params.judged(counts.get(service, 0), now_ms - since[service]):
            found = replace(found, judged=(*found.judged, service))
        else:
            found = replace(found, unjudged=(*found.unjudged, service))
    return found


def never_served(state: AppState, trial: Trial) -> tuple[str, ...]:
    """Return the shadows that have not served at all."""
    begun = {one.service for one in trial.serving}
    return tuple(shadow for shadow in state.shadows if shadow not in begun)
