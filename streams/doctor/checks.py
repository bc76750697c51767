"""Every check. To add one: a module with `gather` and `judge`, and a line here.

Modules are imported when they are needed, so that where not everything is installed the others
still look.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

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


def _check(name: str, module: str, needs: tuple[str, ...] = (), limit_s: float = 15.0) -> Check:
    """Return the check of a module beside this one."""

    def gather(site: Site) -> Any:
        return import_module(f"streams.doctor.{module}").gather(site)

    def judge(facts: Any) -> list[Finding]:
        found: list[Finding] = import_module(f"streams.doctor.{module}").judge(facts)
        return found

    return Check(name, gather, judge, needs, limit_s)


CHECKS: tuple[Check, ...] = (
    _check("machine", "local"),
    _check("processes", "processes"),
    _check("broker", "broker"),
    _check("partitions", "partitions", ("broker",)),
    _check("topics", "topics", ("broker",)),
    _check("schemas", "schemas", limit_s=30),
    _check("clickhouse", "clickhouse"),
    _check("kubernetes", "kube", limit_s=60),
    _check("clocks", "clocks"),
    _check("permissions", "permissions", ("broker",), 45),
    _check("transactions", "transactions", ("broker",), 30),
    _check("groups", "groups", ("broker", "schemas"), 45),
    _check("sink", "sink", ("broker", "clickhouse"), 45),
    _check("snapshots", "snapshots", ("broker", "schemas"), 45),
    _check("catalogue", "registered", ("broker", "schemas"), 30),
    _check("deadletters", "deadletters", ("broker", "schemas"), 45),
)
