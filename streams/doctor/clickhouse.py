"""Does ClickHouse answer, is its database as this version wants it, and can it take more?"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from streams.doctor.findings import Finding, fail, few, ok, warn
from streams.doctor.installation import Site
from workers.clickhouse import Database, connect
from workers.errors import ClickHouseRefused
from workers.sinking.migrations import outdated

NEVER_MIGRATED = frozenset({60, 81})
"""Unknown table, unknown database."""
MANY_PARTS = 300
LITTLE, VERY_LITTLE = 0.10, 0.02
MIB = 1 << 20
_SINK = "weir run sink"


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk: free and total bytes, and whether it takes writes."""

    name: str
    free: int
    total: int
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What ClickHouse says. `stale` is None when the database was never made.

    `read_only` is its setting, 0 for none; `parts` the most active parts of a partition of a table.
    """

    where: str
    version: str
    database: str
    stale: tuple[str, ...] | None
    read_only: int
    disks: tuple[Disk, ...] = ()
    parts: int = 0
    stuck_tables: tuple[str, ...] = ()


def gather(site: Site) -> Facts:
    """Ask it. Raises ClickHouseUnavailable, ClickHouseRefused."""
    settings = site.settings.clickhouse
    where = f"{settings.host}:{settings.port}"
    with closing(connect(settings)) as database:
        stale = _stale(database)
        if stale is None:
            return Facts(where, "", settings.database, None, read_only=0)
        ((version, read_only),) = database.query(
            "SELECT version(), toInt64(getSetting('readonly'))"
        ).rows
        disks = "SELECT name, free_space, total_space, is_read_only != 0 FROM system.disks"
        return Facts(
            where,
            version,
            settings.database,
            stale,
            read_only=read_only,
            disks=tuple(Disk(*row) for row in _told(database, disks)),
            parts=_parts(database),
            stuck_tables=tuple(name for (name,) in _told(database, _READ_ONLY_TABLES)),
        )


_READ_ONLY_TABLES = (
    "SELECT table FROM system.replicas WHERE database = currentDatabase() AND is_readonly"
)
_PARTS = """
SELECT max(parts) FROM (
  SELECT count() AS parts FROM system.parts
  WHERE active AND database = currentDatabase() GROUP BY table, partition
)
"""


def _stale(database: Database) -> tuple[str, ...] | None:
    try:
        return tuple(outdated(database))
    except ClickHouseRefused as error:
        if error.code in NEVER_MIGRATED:
            return None
        raise


def _parts(database: Database) -> int:
    return max((int(parts or 0) for (parts,) in _told(database, _PARTS)), default=0)


def _told(database: Database, query: str) -> tuple[tuple[Any, ...], ...]:
    """Return rows; none when this version has no such table or we may not read it."""
    try:
        return database.query(query).rows
    except ClickHouseRefused:
        return ()


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    said: tuple[Callable[[Facts], list[Finding]], ...] = (_tables, _writable, _space)
    found = [each for say in said for each in say(facts)]
    return found or [
        ok("clickhouse", f"{facts.version} at {facts.where}, database {facts.database} is current")
    ]


def _tables(facts: Facts) -> list[Finding]:
    if facts.stale is None:
        told = f"database {facts.database} was never made"
        return [fail("tables", told, "nothing can be asked by SQL", f"{_SINK} makes it")]
    if not facts.stale:
        return []
    told = f"{len(facts.stale)} are missing or not current: {few(facts.stale)}"
    why = "the sink cannot store what the schemas have gained; views are absent or old"
    return [fail("tables", told, why, f"{_SINK}, or start it again: it brings them up to date")]


def _writable(facts: Facts) -> list[Finding]:
    found = []
    if facts.read_only:
        told = f"our user may only read (readonly={facts.read_only})"
        mend = "set WEIR_CLICKHOUSE__USERNAME to one that may write"
        found.append(fail("writing", told, "the sink cannot store anything", mend))
    if stuck := [*facts.stuck_tables, *(disk.name for disk in facts.disks if disk.read_only)]:
        told = f"read-only: {few(stuck)}"
        mend = "look into ClickHouse's log: a disk, or Keeper, is away"
        found.append(fail("writing", told, "the sink waits until it can store again", mend))
    if facts.parts >= MANY_PARTS:
        told = f"a table has {facts.parts} parts in one partition"
        why = "inserts are refused from 3,000 on: merging does not keep up"
        found.append(warn("parts", told, why, "give it more processor or disk, or fewer sinks"))
    return found


def _space(facts: Facts) -> list[Finding]:
    found = []
    for disk in facts.disks:
        share = disk.free / disk.total if disk.total else 1.0
        if share >= LITTLE:
            continue
        say = fail if share < VERY_LITTLE else warn
        told = f"disk {disk.name}: {disk.free // MIB} MiB free of {disk.total // MIB}"
        why = "when it is full, the sink waits and Kafka's retention runs"
        mend = "add space, or ALTER TABLE ... DELETE what is old"
        found.append(say("space", told, why, mend))
    return found
