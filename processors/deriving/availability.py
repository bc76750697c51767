"""Whether instances and services are there, sampled from heartbeats on a grid of the clock.

An instance that reports nothing cannot say that it is gone. So its last heartbeat in the catalogue
is looked at every `every_ms`: the sample is 1 while it is ready and has not expired, else 0, and
the mean over a window is the share of time in which it was available. A service is available
while any of its instances is. What left on purpose (draining, stopped, removed from the catalogue)
is not sampled, nor is an instance that was silent for `gone_ms`; a service is while one of its
instances is sampled. Samples that a host missed while it was away are not made up: nobody looked.
"""

from collections.abc import Iterator

from processors.vocabulary import AVAILABILITY
from schemas.catalogue import Catalogue
from schemas.observing import MetricReport
from schemas.partitioning import partition_of
from schemas.registrations import InstanceReported

READY = "ready"
LEAVING = ("draining", "stopped")
NEVER = -1


class Availability:
    """Samples the instances and services whose names belong to one partition of `partitions`.

    With `every_ms` 0 it samples none.
    """

    def __init__(self, every_ms: int, gone_ms: int, partition: int, partitions: int) -> None:
        self._every_ms = every_ms
        self._gone_ms = gone_ms
        self._partition = partition
        self._partitions = partitions
        self._mine: dict[str, bool] = {}
        self.sampled_ms = NEVER

    def due(self) -> int | None:
        """Return when (ms) the next sample is to be taken; 0 for at once, None for never."""
        if self._every_ms == 0:
            return None
        return 0 if self.sampled_ms == NEVER else self.sampled_ms + self._every_ms

    def sample(self, now_ms: int, catalogue: Catalogue) -> Iterator[MetricReport]:
        """Yield the samples of the newest instant of the grid, unless they were taken."""
        due = self.due()
        if due is None or now_ms < due:
            return
        self.sampled_ms = at = now_ms - now_ms % self._every_ms
        services: dict[tuple[str, str, str], bool] = {}
        for name, report in sorted(catalogue.of(InstanceReported).items()):
            if report.health in LEAVING or report.expires_at + self._gone_ms <= at:
                continue
            up = report.health == READY and report.expires_at > at
            key = (report.app, report.stage, report.service)
            services[key] = services.get(key, False) or up
            if self._is_mine(name):
                yield _of_instance(report, at, up)
        for (app, stage, service), up in sorted(services.items()):
            if service and self._is_mine(service):
                yield MetricReport(
                    event_time=at,
                    app=app,
                    stage=stage,
                    service=service,
                    metric=AVAILABILITY,
                    value=float(up),
                )
        if len(self._mine) > 2 * (len(catalogue.of(InstanceReported)) + len(services)):
            self._mine = {}

    def _is_mine(self, name: str) -> bool:
        mine = self._mine.get(name)
        if mine is None:
            home = partition_of(name, self._partitions)
            mine = self._mine[name] = home == self._partition
        return mine


def _of_instance(report: InstanceReported, at: int, up: bool) -> MetricReport:
    return MetricReport(
        event_time=at,
        app=report.app,
        stage=report.stage,
        service=report.service,
        instance=report.instance,
        node=report.node,
        metric=AVAILABILITY,
        value=float(up),
    )
