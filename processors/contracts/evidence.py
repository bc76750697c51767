"""The observations of one application that its contracts may still need."""

from collections.abc import Collection
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


def arrived(state: EvidenceState) -> EvidenceState:
    """Return the state of an app that comes from another partition, where offsets differ."""
    wanted = tuple(replace(one, since=0) for one in state.wanted)
    return replace(state, wanted=wanted)


@dataclass(slots=True)
class Evidence:
    """Observations by id with their offsets; `newest` is their latest window end, ms.

    `seen_ms` is the host's clock at the last of them.
    """

    newest: int = 0
    seen_ms: int = 0
    wanted: dict[str, int] = field(default_factory=dict)
    _kept: dict[str, tuple[int, Observation]] = field(default_factory=dict)

    def want(self, metrics: Collection[str]) -> None:
        """Keep what these metrics report from now on, and nothing else."""
        if self.wanted.keys() - metrics:
            self.wanted = {m: since for m, since in self.wanted.items() if m in metrics}
            kept = self._kept.items()
            self._kept = {key: item for key, item in kept if item[1].metric in metrics}

    def add(self, seen: Observation, offset: int, span_ms: int) -> bool:
        """Keep a final observation of a wanted metric; False when it is too old or known.

        One whose window ended more than `span_ms` before the newest comes too late for any
        verdict; it stays in the log and in SQL.
        """
        self.wanted.setdefault(seen.metric, offset)
        stale = seen.window_end <= self.newest - span_ms
        if not seen.final or stale or not self._fresh(seen):
            return False
        self.newest = max(self.newest, seen.window_end)
        self._kept[seen.event_id] = (offset, seen)
        return True

    def add_again(self, seen: Observation, offset: int) -> None:
        """Keep an observation that was kept before a restart."""
        since = self.wanted.get(seen.metric)
        if seen.final and since is not None and offset >= since and self._fresh(seen):
            self._kept[seen.event_id] = (offset, seen)

    def _fresh(self, seen: Observation) -> bool:
        known = self._kept.get(seen.event_id)
        return known is None or known[1].revision < seen.revision

    def within(self, end: int, span_ms: int) -> list[Observation]:
        """Return what ended within the span before `end`, in the order of windows and places.

        Where several windows tell of the same events, one of them is returned.
        """
        inside = (seen for _, seen in self._kept.values() if end - span_ms < seen.window_end <= end)
        return sorted(
            unrepeated(inside), key=lambda o: (o.window_end, o.stage, o.service, o.instance, o.node)
        )

    def forget(self, before: int) -> None:
        """Drop what ended at `before` or earlier."""
        if any(seen.window_end <= before for _, seen in self._kept.values()):
            kept = self._kept.items()
            self._kept = {key: item for key, item in kept if item[1].window_end > before}

    def oldest(self) -> int | None:
        """Return the lowest offset kept."""
        return min((offset for offset, _ in self._kept.values()), default=None)

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
