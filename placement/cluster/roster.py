"""The nodes as they are now, and what has changed about them since they were looked at last.

Derived from the catalogue and the clock; never part of a snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter

from placement.cluster.described import cut, machine_of
from placement.cluster.needs import DRAINING, READY, Gpu, Machine
from schemas.registrations import NodeReported

_NEVER = 1 << 62
_USED = {"cpu_used_milli", "memory_used_mib"}
_PLAIN = attrgetter(
    *(f.name for f in fields(NodeReported) if f.name not in {"heartbeat", "expires_at", *_USED})
)
"""What of a report stays the same from one heartbeat to the next, while only load changes."""
_LASTING = attrgetter(
    *(
        f.name
        for f in fields(Machine)
        if f.name not in {"health", "message", "gpus"} and not f.name.endswith("_outside")
    )
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of nodes: those that came, went or are not what they were; all that differ at all.

    `rebuilt` says that more than health and the use of others has changed.
    """

    standing: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    rebuilt: bool = False


class Roster:
    """All nodes by name, as machines."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self._reports: Mapping[str, NodeReported] = {}
        self._draining: frozenset[str] = frozenset()
        self._seen, self._until = _NEVER, -_NEVER

    def update(
        self, reports: Mapping[str, NodeReported], now_ms: int, draining: frozenset[str]
    ) -> Changes:
        """Take over what nodes report, and whose heartbeat has expired by now."""
        quiet = self._seen <= now_ms < self._until and draining == self._draining
        if quiet and reports is self._reports:
            return Changes()
        known, self._reports = self._reports, reports
        drained, self._draining = draining ^ self._draining, draining
        standing, told, rebuilt = set(known.keys() - reports.keys()), set(), False
        for name in standing:
            del self.machines[name]
        rebuilt = bool(standing)
        for name, report in reports.items():
            before = self.machines.get(name)
            same = known.get(name) is report and before is not None
            if same and quiet:
                continue
            if same and name not in drained and not self._expires(report, now_ms):
                continue
            machine = self._machine(report, now_ms, known.get(name), before)
            if before == machine:
                continue
            self.machines[name] = machine
            told.add(name)
            altered = before is None or _altered(before, machine)
            rebuilt |= altered
            if altered or before is None or before.health != machine.health:
                standing.add(name)
        self._seen = now_ms
        self._until = min(
            (r.expires_at for r in reports.values() if r.expires_at > now_ms), default=_NEVER
        )
        return Changes(frozenset(standing), frozenset(told), rebuilt)

    def _expires(self, report: NodeReported, now_ms: int) -> bool:
        """Return whether a heartbeat has expired, or is valid again, since it was looked at."""
        return (now_ms >= report.expires_at) != (self._seen >= report.expires_at)

    def _machine(
        self, report: NodeReported, now_ms: int, last: NodeReported | None, before: Machine | None
    ) -> Machine:
        """Return a node as it is now: the one before where nothing has changed."""
        drained = report.node in self._draining
        if last and before and not drained and _only_used(last, report, before, now_ms):
            return replace(
                before,
                cpu_outside=cut(report.cpu_used_milli),
                memory_outside=cut(report.memory_used_mib),
            )
        machine = machine_of(report, now_ms)
        if machine.health == READY and report.node in self._draining:
            return replace(machine, health=DRAINING, message="it is being drained")
        return machine


def _only_used(last: NodeReported, report: NodeReported, before: Machine, now_ms: int) -> bool:
    """Return whether a ready node differs from its last report in its load alone."""
    used = (last.cpu_used_milli, last.memory_used_mib, report.cpu_used_milli)
    sound = min(*used, report.memory_used_mib) >= 0 and before.health == READY
    return sound and now_ms < report.expires_at and _PLAIN(last) == _PLAIN(report)


def _altered(before: Machine, machine: Machine) -> bool:
    """Return whether more than health, message and the use of others differs."""
    if _LASTING(before) != _LASTING(machine):
        return True
    return before.gpus is not machine.gpus and _bare(before) != _bare(machine)


def _bare(machine: Machine) -> list[Gpu]:
    return [replace(gpu, outside_milli=0, outside_mib=0) for gpu in machine.gpus]
