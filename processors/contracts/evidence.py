"""The observations of one application that its contracts may still need."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from processors.unrepeated import unrepeated
from schemas.observing import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A metric, and the offset from which on its observations are kept."""

    metric: str
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceState:
    """The evidence of an app as state: all but the observations, which the log holds."""

    app: str
    newest: int
    seen_ms: int
    wanted: tuple[Wanted, ...]


_Kept = dict[str, tuple[int, Observation]]
"""Offset and observation by event id."""


def arrived(state: EvidenceState) -> EvidenceState:
    """Return the state of an app that comes from another partition, where offsets differ."""
    wanted = tuple(replace(one, since=0) for one in state.wanted)
    return replace(state, wanted=wanted)


@dataclass(slots=True)
class Evidence:
    """Observations by metric and window end; `newest` is their latest window end, ms.

    `seen_ms` is the host's clock at the last of them.
    """

    newest: int = 0
    seen_ms: int = 0
    wanted: dict[str, int] = field(default_factory=dict)
    _kept: dict[str, dict[int, _Kept]] = field(default_factory=dict)

    def want(self, metrics: Collection[str]) -> None:
        """Keep what these metrics report from now on, and nothing else."""
        self.wanted = {m: since for m, since in self.wanted.items() if m in metrics}
        self._kept = {m: ends for m, ends in self._kept.items() if m in metrics}

    def add(self, seen: Observation, offset: int, span_ms: int) -> bool:
        """Keep a final observation of a wanted metric; False when it is too old or known.

        One whose window ended more than `span_ms` before the newest comes too late for any
        verdict; it stays in the log and in SQL.
        """
        self.wanted.setdefault(seen.metric, offset)
        if not seen.final or seen.window_end <= self.newest - span_ms:
            return False
        self.newest = max(self.newest, seen.window_end)
        return self._keep(seen, offset)

    def add_again(self, seen: Observation, offset: int) -> None:
        """Keep an observation that was kept before a restart."""
        since = self.wanted.get(seen.metric)
        if seen.final and since is not None and offset >= since:
            self._keep(seen, offset)

    def _keep(self, seen: Observation, offset: int) -> bool:
        kept = self._kept.setdefault(seen.metric, {}).setdefault(seen.window_end, {})
        known = kept.get(seen.event_id)
        if known is not None and known[1].revision >= seen.revision:
            return False
        kept[seen.event_id] = (offset, seen)
        return True

    def within(self, end: int, span_ms: int, metrics: Collection[str]) -> list[Observation]:
        """Return what ended within the span before `end`, in the order of windows and places.

        Where several windows tell of the same events, one of them is returned.
        """
        inside = (
            seen
            for metric in sorted(metrics)
            for at, kept in self._kept.get(metric, {}).items()
            if end - span_ms < at <= end
            for _, seen in kept.values()
        )
        return sorted(
            unrepeated(inside), key=lambda o: (o.window_end, o.stage, o.service, o.instance, o.node)
        )

    def forget(self, before: int) -> None:
        """Drop what ended at `before` or earlier."""
        for metric, ends in self._kept.items():
            if any(end <= before for end in ends):
                self._kept[metric] = {end: kept for end, kept in ends.items() if end > before}

    def oldest(self) -> int | None:
        """Return the lowest offset kept."""
        return min(self._offsets(), default=None)

    def _offsets(self) -> Iterator[int]:
        for ends in self._kept.values():
            for kept in ends.values():
                for offset, _ in kept.values():
                    yield offset

    def state(self, app: str) -> EvidenceState:
        """Return it as state."""
        return EvidenceState(
            app=app,
            newest=self.newest,
            seen_ms=self.seen_ms,
            wanted=tuple(Wanted(metric=m, since=s) for m, s in sorted(self.wanted.items())),
        )


def evidence_of(state: EvidenceState) -> Evidence:
    """Return the evidence of a state, without observations."""
    wanted = {one.metric: one.since for one in state.wanted}
    return Evidence(state.newest, state.seen_ms, wanted)
