"""Vectors of several metrics of one subject, window by window: what is judged together.

The policy `detect/APP/latency+error+cpu` asks for it, with a detector of vectors; `metrics` of one
stage, service, instance and node meet where they have a window of the same length and end. What
misses a metric is not judged. A vector is told as a window of the metric `latency+error+cpu`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from processors.anomalies.multivariate import NUMBERS
from processors.anomalies.series import KEYS, METRIC, Judgement, Key
from processors.recent import Recent
from schemas.observing import Finding

PLUS = "+"
_OPEN = 64
"""Windows of a subject that wait for further metrics; beyond that the oldest is given up."""
_LENGTH = 64.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """Metrics of an application that are judged together, by one statistic of their windows."""

    metrics: tuple[str, ...]
    statistic: str

    @property
    def name(self) -> str:
        """The metric that they are told as."""
        return PLUS.join(self.metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingState:
    """A window whose metrics have not all come: those that have, values, ids of observations."""

    end: int
    metrics: tuple[str, ...]
    values: tuple[float, ...]
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JointState:
    """One subject: how many vectors it had, their mean of late, and the windows that wait."""

    key: tuple[str, ...]
    seen: int
    usual: tuple[float, ...]
    waiting: tuple[WaitingState, ...]


@dataclass(slots=True)
class _Subject:
    seen: int = 0
    usual: list[float] = field(default_factory=list)
    waiting: dict[int, dict[str, tuple[float, str]]] = field(default_factory=dict)

    def take(self, joint: Joint, end: int, metric: str, value: float, cause: str) -> "Whole | None":
        """Take a window of a metric; return the vector that it completes."""
        if end not in self.waiting and len(self.waiting) >= _OPEN:
            del self.waiting[next(iter(self.waiting))]
        window = self.waiting.setdefault(end, {})
        window[metric] = (value, cause)
        if len(window) < len(joint.metrics):
            return None
        del self.waiting[end]
        values = [window[name][0] for name in joint.metrics]
        return Whole(
            values=tuple(values),
            findings=tuple(self._findings(joint, values)),
            causes=tuple(window[name][1] for name in joint.metrics),
        )

    def _findings(self, joint: Joint, values: Sequence[float]) -> Iterator[Finding]:
        """Yield each value beside its mean of late, which follows it."""
        usual = self.usual if len(self.usual) == len(values) else list(values)
        self.seen += 1
        gain = max(1.0 / _LENGTH, 1.0 / self.seen)
        for name, value, mean in zip(joint.metrics, values, usual, strict=True):
            yield Finding(what=f"{joint.statistic} of {name}", observed=value, expected=mean)
        self.usual = [
            mean + gain * (value - mean) for value, mean in zip(values, usual, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Whole:
    """A vector, its values beside what is usual, and the observations that it is made of."""

    values: tuple[float, ...]
    findings: tuple[Finding, ...]
    causes: tuple[str, ...]


class Joining:
    """Makes vectors of windows, for at most so many subjects; the longest unused are forgotten."""

    def __init__(self, most: int, states: Sequence[JointState] = ()) -> None:
        self._subjects: Recent[Key, _Subject] = Recent(most)
        for one in states:
            waiting = {
                each.end: dict(
                    zip(each.metrics, zip(each.values, each.causes, strict=True), strict=True)
                )
                for each in one.waiting
            }
            self._subjects.put(one.key, _Subject(one.seen, list(one.usual), waiting))
        self._wanted: dict[tuple[str, str], list[Joint]] = {}
        self._wholes: dict[tuple[Key, int], Whole] = {}

    def select(self, joints: Mapping[str, Sequence[Joint]]) -> list[Key]:
        """Make these from now on, by application; return the subjects that are made no more."""
        names = {(app, joint.name) for app, own in joints.items() for joint in own}
        self._wanted = {}
        for app, own in joints.items():
            for joint in own:
                for metric in joint.metrics:
                    self._wanted.setdefault((app, metric), []).append(joint)
        every = [key for key, _ in self._subjects.items()]
        gone = [key for key in every if (key[0], key[METRIC]) not in names]
        for key in gone:
            self._subjects.drop(key)
        return gone

    def joined(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return windows with vectors among them, each behind the window that completes it.

        Vectors stand in the columns of `NUMBERS`, zeros behind the last metric.
        """
        self._wholes = {}
        if not self._wanted:
            return frame
        places: list[int] = []
        made: list[tuple[str, tuple[float, ...]]] = []
        for place, joint, key, end, whole in self._completed(frame):
            self._wholes[key, end] = whole
            places.append(place)
            made.append((joint.name, whole.values + (0.0,) * len(NUMBERS)))
        if not made:
            return frame
        vectors = frame[places].with_columns(
            pl.Series("metric", [name for name, _ in made]),
            pl.lit("").alias("unit"),
            *(
                pl.Series(name, [values[at] for _, values in made], pl.Float64)
                for at, name in enumerate(NUMBERS)
            ),
        )
        order = pl.Series("_order", [*range(frame.height), *places])
        both = pl.concat([frame.with_columns(pl.col(NUMBERS).cast(pl.Float64)), vectors])
        return both.with_columns(order).sort("_order", maintain_order=True).drop("_order")

    def told(self, key: Key, seen: Judgement) -> Judgement:
        """Return a judgement with what its vector is made of, if it is one of the last windows."""
        whole = self._wholes.get((key, seen.end))
        return (
            seen if whole is None else replace(seen, findings=whole.findings, causes=whole.causes)
        )

    def _completed(self, frame: pl.DataFrame) -> Iterator[tuple[int, Joint, Key, int, Whole]]:
        """Yield vectors with the places of the windows that complete them, in their order."""
        apps, metrics = zip(*self._wanted, strict=True)
        part = frame.with_row_index("_place").filter(
            pl.col("app").is_in(apps), pl.col("metric").is_in(metrics)
        )
        for row in part.iter_rows(named=True):
            end, metric = row["window_end"], row["metric"]
            for joint in self._wanted.get((row["app"], metric), ()):
                key = tuple(row[name] for name in KEYS[:METRIC])
                key += (joint.name, "", row["window"])
                subject, _ = self._subjects.use(key, _Subject)
                value = float(row[joint.statistic])
                whole = subject.take(joint, end, metric, value, row["event_id"])
                if whole is not None:
                    yield row["_place"], joint, key, end, whole

    def states(self) -> Iterator[JointState]:
        """Yield all subjects, the longest unused first."""
        for key, one in self._subjects.items():
            waiting = tuple(
                WaitingState(
                    end=end,
                    metrics=tuple(window),
                    values=tuple(value for value, _ in window.values()),
                    causes=tuple(cause for _, cause in window.values()),
                )
                for end, window in one.waiting.items()
            )
            yield JointState(key=key, seen=one.seen, usual=tuple(one.usual), waiting=waiting)
