"""What a live worker tells of its work: an account of it, as events and as JSON. Pure.

A worker is asked over Kafka, not over HTTP: its newest WorkerReported stands on a compacted topic,
so that everybody who reaches the broker sees every worker, on whatever machine, behind whatever
firewall, and also what one said last that is gone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.inference import InferenceResult
from schemas.observing import MetricReport
from schemas.working import BacklogSample, ReasonCount, ServedWork, WorkerReported
from workers.accounting.account import Account
from workers.accounting.tally import Tally
from workers.inference.pending import pending_of
from workers.inference.results import Home
from workers.scheduling.jobs import Batch, Decision, Ended, Job
from workers.scheduling.pressure import Pressure

APP = "nodes"
"""The application of metrics that are about a worker as a whole, as of those of its node."""
SERVICE = "worker"
PREFIX = "worker."
RUNNING, STOPPED = "running", "stopped"
MOST_SERVICES = 100
MOST_SAMPLES = 100
MOST_DECISIONS = 30
_PERCENTS = ("p50", "p95", "p99")


class Named(NamedTuple):
    """Whose work an instance's is."""

    app: str = ""
    stage: str = ""
    service: str = ""


class _Metered(Account):
    """An account that also counts what has happened since the last metrics."""

    def __init__(self, began: float) -> None:
        super().__init__(began=began)
        self.lately: dict[str, Tally] = {}
        self.lately_began = began
        self.lately_busy_ms = 0.0
        self.decisions = 0

    def _tallies(self, service: str) -> tuple[Tally, ...]:
        return (*super()._tallies(service), self.lately.setdefault(service, Tally()))

    def begin_again(self, now: float) -> None:
        """Count what happens from now on."""
        self.lately = {}
        self.lately_began = now
        self.lately_busy_ms = self.busy_ms
        self.decisions = 0


class Telemetry:
    """An observer of the engine; times in ms since the epoch, memory bounded however long it runs.

    A report counts for `expiry_ms`.
    """

    def __init__(self, home: Home, began: float, expiry_ms: int) -> None:
        self._home = home
        self._expiry_ms = expiry_ms
        self._account = _Metered(began)
        self._names: dict[str, Named] = {}
        self._batch: Batch | None = None
        self._batch_began = began
        self._open: set[str] = set()
        self._failed: dict[str, str] = {}
        self._pressure: Mapping[str, float] = {}
        self._spooled: tuple[int, int] | None = None

    def pressed(self, pressure: Pressure) -> None:
        """Take note of how far the worker is from doing its work well."""
        self._pressure = pressure.metrics()

    def spooled(self, events: int, size: int) -> None:
        """Take note of what waits on disk for a broker: how many events, and their bytes."""
        self._spooled = (events, size)

    def degradation(self) -> Mapping[str, float]:
        """Return the degradation score and its parts as last told, by the names of metrics."""
        return self._pressure

    def came(self, job: Job, now_ms: float, /) -> None:
        """Take note of a task that is about to be offered to the scheduler."""
        task = pending_of(job).task
        self._names[job.service] = Named(task.app, task.stage, task.service)
        self._account.came(job, now_ms)

    def decided(self, decision: Decision, now_ms: float, /) -> None:
        """Take note of a decision; the execution of its batch begins now."""
        self._account.decided(decision)
        if decision.batch is None:
            return
        self._account.decisions += 1
        self._close_batch(now_ms)
        self._batch, self._batch_began = decision.batch, now_ms
        self._open = {job.id for job in decision.batch.jobs}
        self._account.begins(decision.batch, now_ms)

    def ended(self, result: InferenceResult, ended: Ended | None, /) -> None:
        """Take note of a task's only end."""
        if ended is not None:
            self._account.went([ended], float(result.finished_at))
        elif result.task_id in self._open:
            self._open.discard(result.task_id)
            if result.status != "ok":
                self._failed[result.task_id] = result.reason or result.status
            if not self._open:
                self._close_batch(self._batch_began + result.execution_ms)
        else:
            self._names[result.instance] = Named(result.app, result.stage, result.service)
            self._account.unusable(result.instance, result.reason or result.status)

    def summary(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it; services are instances."""
        found = self._account.summary()
        for instance, told in found["services"].items():
            told.update(self._name(instance)._asdict(), waiting=self._account.waiting[instance])
        return {"worker": self._home.worker, "node": self._home.node, **found}

    def report(self, now_ms: float, status: str = RUNNING) -> WorkerReported:
        """Return what is to be told of the time since the beginning."""
        found = self._account.summary()
        began = self._account.began
        busiest = sorted(found["services"], key=lambda i: (-found["services"][i]["arrived"], i))
        samples = _thinned(found["backlog"]["samples"])
        return WorkerReported(
            worker=self._home.worker,
            node=self._home.node,
            status=status,
            began_at=int(began),
            busy_share=found["busy_share"],
            wasted_share=found["wasted_share"],
            decisions=tuple(_decisions(found["decisions"]))[:MOST_DECISIONS],
            services=tuple(
                self._served(instance, found["services"][instance])
                for instance in busiest[:MOST_SERVICES]
            ),
            backlog=tuple(
                BacklogSample(at=int(began + one["at_ms"]), waiting=one["total"]) for one in samples
            ),
            heartbeat=int(now_ms),
            expires_at=int(now_ms) + (self._expiry_ms if status == RUNNING else 0),
        )

    def metrics(self, now_ms: float) -> list[MetricReport]:
        """Return what happened since the last call, as metrics; then count anew.

        Times per task are metrics already, derived from results. These are what results do not
        tell: what waits, what was decided, and ends by kind of reason.
        """
        account = self._account
        lasted = max(now_ms - account.lately_began, 1e-6)
        busy = min(1.0, (account.busy_ms - account.lately_busy_ms) / lasted)
        own = [("busy", busy, ""), ("decisions", float(account.decisions), "1")]
        if self._spooled is not None:
            events, size = self._spooled
            own += [("spool.events", float(events), "1"), ("spool.bytes", float(size), "By")]
        found = [self._metric(now_ms, "", *one) for one in own]
        found += [
            self._metric(now_ms, "", name.removeprefix(PREFIX), value, "")
            for name, value in self._pressure.items()
        ]
        for instance in sorted({*account.lately, *account.waiting}):
            waiting = float(account.waiting.get(instance, 0))
            found.append(self._metric(now_ms, instance, "waiting", waiting, "1"))
            tally = account.lately.get(instance)
            if tally is not None:
                found += [self._metric(now_ms, instance, *one) for one in _figures(tally)]
        account.begin_again(now_ms)
        return found

    def _close_batch(self, now: float) -> None:
        if self._batch is None:
            return
        for left in self._open:
            self._failed[left] = "its execution gave no result"
        self._account.executed(self._batch, self._batch_began, now, self._failed)
        self._batch, self._open, self._failed = None, set(), {}

    def _name(self, instance: str) -> Named:
        return self._names.get(instance, Named())

    def _metric(
        self, now_ms: float, instance: str, metric: str, value: float, unit: str
    ) -> MetricReport:
        named = self._name(instance) if instance else Named(APP, "", SERVICE)
        return MetricReport(
            event_time=int(now_ms),
            app=named.app or APP,
            stage=named.stage,
            service=named.service,
            instance=instance or self._home.worker,
            node=self._home.node,
            metric=f"{PREFIX}{metric}",
            value=value,
            unit=unit,
        )

    def _served(self, instance: str, told: Mapping[str, Any]) -> ServedWork:
        times = {
            f"{name}_{percent}_ms": told[f"{name}_ms"][percent]
            for name in ("queue", "execution", "end_to_end")
            for percent in _PERCENTS
        }
        counts = ("arrived", "in_time", "late", "failed", "deadline_hit_ratio", "batches")
        return ServedWork(
            instance=instance,
            **self._name(instance)._asdict(),
            waiting=self._account.waiting.get(instance, 0),
            **{name: told[name] for name in (*counts, "longest_gap_ms")},
            reasons=tuple(_reasons(told)),
            execution_mean_ms=told["mean_execution_ms"],
            **times,
        )


def _decisions(told: Mapping[str, Mapping[str, int]]) -> Iterator[ReasonCount]:
    for what, counts in told.items():
        for why, count in counts.items():
            yield ReasonCount(what=what, reason=why, count=count)


def _reasons(told: Mapping[str, Any]) -> Iterator[ReasonCount]:
    examples = told["examples"]
    for status, counts in told["reasons"].items():
        for kind, count in counts.items():
            yield ReasonCount(what=status, reason=kind, count=count, example=examples[kind])
    if told["failed"]:
        yield ReasonCount(
            what="failed", reason="failed", count=told["failed"], example=examples["failed"]
        )


def _figures(tally: Tally) -> Iterator[tuple[str, float, str]]:
    """Yield name, value and unit of the metrics of one instance."""
    yield "executed", float(tally.executions), "1"
    yield "failed", float(tally.failed), "1"
    yield "deadline_hit_ratio", tally.deadline_hit_ratio, ""
    for status, counts in tally.reasons().items():
        for kind, count in counts.items():
            yield f"{status}.{kind}", float(count), "1"
    times = tally.times()
    for name in ("queue", "execution"):
        for percent, value in times[f"{name}_ms"].items():
            if value is not None:
                yield f"{name}.{percent}", value, "ms"


def _thinned(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most so many samples, at equal distances, the newest among them."""
    step = -(-len(samples) // MOST_SAMPLES) or 1
    return samples[::-1][::step][::-1]
