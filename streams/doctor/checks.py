"""Every check. To add one: a module with `gather` and `judge`, and a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streams.doctor import (
    broker,
    clickhouse,
    clocks,
    deadletters,
    groups,
    kube,
    local,
    partitions,
    permissions,
    processes,
    registered,
    schemas,
    sink,
    snapshots,
    topics,
    transactions,
)
from streams.doctor.findings import Finding
from streams.doctor.installation import Site


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `gather` looks, `judge` decides, which is pure.

    It is looked at when what it `needs` could be looked at, and given up after `limit_s`, to which
    the watch is added.
    """

    name: str
    gather: Callable[[Site], Any]
    judge: Callable[[Any], list[Finding]]
    needs: tuple[str, ...] = ()
    limit_s: float = 15.0


CHECKS: tuple[Check, ...] = (
    Check("machine", local.gather, local.judge),
    Check("processes", processes.gather, processes.judge),
    Check("broker", broker.gather, broker.judge),
    Check("partitions", partitions.gather, partitions.judge, ("broker",)),
    Check("topics", topics.gather, topics.judge, ("broker",)),
    Check("schemas", schemas.gather, schemas.judge, limit_s=30),
    Check("clickhouse", clickhouse.gather, clickhouse.judge),
    Check("kubernetes", kube.gather, kube.judge, limit_s=60),
    Check("clocks", clocks.gather, clocks.judge),
    Check("permissions", permissions.gather, permissions.judge, ("broker",), 45),
    Check("transactions", transactions.gather, transactions.judge, ("broker",), 30),
    Check("groups", groups.gather, groups.judge, ("broker", "schemas"), 45),
    Check("sink", sink.gather, sink.judge, ("broker", "clickhouse"), 45),
    Check("snapshots", snapshots.gather, snapshots.judge, ("broker", "schemas"), 45),
    Check("catalogue", registered.gather, registered.judge, ("broker", "schemas"), 30),
    Check("deadletters", deadletters.gather, deadletters.judge, ("broker", "schemas"), 45),
)
