"""The nodes as they are now, and what has changed about them since they were looked at last.

Derived from the catalogue and the clock; never part of a snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from placement.described import machine_of
from placement.needs import DRAINING, READY, Machine
from schemas.registrations import NodeReported

_NEVER = 1 << 62


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
            machine = self._machine(report, now_ms)
            if before == machine:
                continue
            self.machines[name] = machine
            told.add(name)
            if before is None or _standing(before) != _standing(machine):
                standing.add(name)
                rebuilt |= before is None or _standing(before, READY) != _standing(machine, READY)
        self._seen = now_ms
        self._until = min(
            (r.expires_at for r in reports.values() if r.expires_at > now_ms), default=_NEVER
        )
        return Changes(frozenset(standing), frozenset(told), rebuilt)

    def _expires(self, report: NodeReported, now_ms: int) -> bool:
        """Return whether a heartbeat has expired, or is valid again, since it was looked at."""
        return (now_ms >= report.expires_at) != (self._seen >= report.expires_at)

    def _machine(self, report: NodeReported, now_ms: int) -> Machine:
        machine = machine_of(report, now_ms)
        if machine.health == READY and report.node in self._draining:
            return replace(machine, health=DRAINING, message="it is being drained")
        return machine


def _standing(machine: Machine, health: str = "") -> Machine:
    """Return a machine without what others use of it, and without its message."""
    return replace(
        machine,
        health=health or machine.health,
        message="",
        cpu_outside=0,
        memory_outside=0,
        cores_outside=(0,) * len(machine.cores_outside),
        extra_outside=(),
        gpus=tuple(replace(gpu, outside_milli=0, outside_mib=0) for gpu in machine.gpus),
    )
