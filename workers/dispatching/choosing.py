"""Which workers may be asked for a task, which first, and why the others may not. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from workers.dispatching.peers import USABLE, Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A task to be done elsewhere; `deadline` in ms since the epoch.

    `backend` and `device` are what it needs, empty for any.
    """

    task: str
    service: str
    deadline: float
    priority: int = 0
    backend: str = ""
    device: str = ""


class Evaluation(NamedTuple):
    """Whether a worker may be asked, in what time (ms) it is expected to answer, and why."""

    peer: Peer
    eligible: bool
    predicted_ms: float
    why: str


class Choice(NamedTuple):
    """Workers in the order in which they are asked, and what was thought of each."""

    order: tuple[Evaluation, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def why(self) -> str:
        """Return why the first is first, or why there is none."""
        if not self.evaluations:
            return "no other worker hosts it"
        if not self.order:
            return "; ".join(f"{one.peer.worker}: {one.why}" for one in self.evaluations)
        return f"{self.order[0].peer.worker}: {self.order[0].why}"


def choose(
    errand: Errand,
    peers: Iterable[Peer],
    now: float,
    *,
    way_ms: float = 0.0,
    resting: Mapping[str, float] | None = None,
) -> Choice:
    """Judge every worker; those that may be asked come in the order of health, then of time.

    `way_ms` is the time there and back, `resting` until when (ms) workers that failed are not
    asked. Equals come by capacity, larger first, then by name.
    """
    rests = resting or {}
    found = tuple(_judged(errand, peer, now, way_ms, rests) for peer in peers)
    eligible = [one for one in found if one.eligible]
    eligible.sort(key=_rank)
    return Choice(tuple(eligible), found)


def _rank(one: Evaluation) -> tuple[int, float, int, str, str]:
    peer = one.peer
    rank = USABLE.index(peer.health)
    return (rank, round(one.predicted_ms, 3), -peer.capacity, peer.worker, peer.instance)


def _judged(
    errand: Errand, peer: Peer, now: float, way_ms: float, resting: Mapping[str, float]
) -> Evaluation:
    predicted = way_ms + peer.queue_ms + peer.expected_ms
    against = _against(errand, peer, now, resting.get(peer.worker, 0.0))
    left = errand.deadline - now
    if not against and predicted > left:
        against = f"expected after {predicted:.1f} ms, when only {left:.1f} ms are left"
    if against:
        return Evaluation(peer, False, predicted, against)
    why = (
        f"{peer.health}, expected after {predicted:.1f} ms: {way_ms:.1f} on the way, "
        f"{peer.queue_ms:.1f} in the queue, {peer.expected_ms:.1f} executing"
    )
    return Evaluation(peer, True, predicted, why)


def _against(errand: Errand, peer: Peer, now: float, rests_until: float) -> str:
    """Return what stands against asking a worker; empty when nothing does."""
    if peer.expires_at <= now:
        silent = (now - peer.heartbeat) / 1000
        return f"last heard of {silent:.1f} s ago; its heartbeat has expired"
    if peer.health not in USABLE:
        return f"it is {peer.health}{f': {peer.message}' if peer.message else ''}"
    if rests_until > now:
        return f"it failed lately and rests for {rests_until - now:.0f} ms more"
    return _lacking(errand, peer)


def _lacking(errand: Errand, peer: Peer) -> str:
    """Return what a worker that lives does not have; empty when it has everything."""
    if not peer.address:
        return "it tells no address at which it answers"
    if errand.backend and errand.backend not in peer.backends:
        return f"it lacks {errand.backend}; it has {', '.join(peer.backends) or 'none'}"
    if errand.device and errand.device not in peer.devices:
        return f"it does not run on {errand.device}; it has {', '.join(peer.devices) or 'none'}"
    return ""
