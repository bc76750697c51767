"""Traces of clusters in the CSV form of openb: nodes, and copies that come and go. Pure.

Nodes: `sn, cpu_milli, memory_mib, gpu, model`. Pods: `name, cpu_milli, memory_mib, num_gpu,
gpu_milli`, and where they are there `gpu_spec` (models that will do, `|` between them; empty or no
column: any), `creation_time` and `deletion_time`. Other columns are of no concern.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO

from placement.cluster.needs import Gpu, Machine, Need
from placement.errors import TraceRefused

MOST = 1 << 40
"""The largest number in a trace."""
GPUS = 64
"""The most GPUs of a node."""
_NODES = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
_PODS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")


@dataclass(frozen=True, slots=True)
class Pod:
    """A copy of the trace; times are None where the trace does not tell them."""

    name: str
    need: Need
    created: int | None = None
    deleted: int | None = None


def machines_of(text: str, where: str) -> tuple[Machine, ...]:
    """Return the nodes of a file's text. Raises TraceRefused for the first thing that is wrong."""
    found: dict[str, Machine] = {}
    for row in _rows(text, where, _NODES):
        name = row.text("sn")
        if not name:
            raise row.refused("sn", "it is empty; name the node")
        if name in found:
            raise row.refused("sn", f"{name!r} stands twice; name every node once")
        count = row.number("gpu", most=GPUS)
        found[name] = Machine(
            name=name,
            cpu_milli=row.number("cpu_milli"),
            memory_mib=row.number("memory_mib"),
            gpus=(Gpu(row.text("model")),) * count,
        )
    return tuple(found.values())


def pods_of(text: str, where: str) -> tuple[Pod, ...]:
    """Return the copies of a file's text. Raises TraceRefused for the first thing wrong."""
    return tuple(_pod(row) for row in _rows(text, where, _PODS))


def _pod(row: "_Row") -> Pod:
    gpus, milli = row.number("num_gpu", most=GPUS), row.number("gpu_milli", most=1000)
    if gpus and not milli:
        raise row.refused("gpu_milli", "it is 0 though num_gpu is not; write 1 to 1000")
    if milli and not gpus:
        raise row.refused("num_gpu", "it is 0 though gpu_milli is not; write 1 or more")
    models = tuple(sorted({part.strip() for part in row.text("gpu_spec").split("|")} - {""}))
    created, deleted = row.instant("creation_time"), row.instant("deletion_time")
    if created is not None and deleted is not None and deleted < created:
        raise row.refused("deletion_time", "it is before creation_time; write a later one")
    need = Need(
        cpu_milli=row.number("cpu_milli"),
        memory_mib=row.number("memory_mib"),
        gpus=gpus,
        gpu_milli=milli,
        models=models if gpus else (),
    )
    return Pod(row.text("name"), need, created, deleted)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a file: its cells by column, and where it stands."""

    where: str
    line: int
    cells: Mapping[str, str | None]

    def refused(self, field: str, told: str) -> TraceRefused:
        return TraceRefused(f"{self.where}, line {self.line}: {field}: {told}")

    def text(self, field: str) -> str:
        return (self.cells.get(field) or "").strip()

    def number(self, field: str, most: int = MOST) -> int:
        """Return a whole number of at least 0; 12.0 is one, too."""
        told = self.text(field)
        try:
            number = float(told)
            whole = int(number)
        except (ValueError, OverflowError):
            raise self.refused(
                field, f"{told!r} is no number; write a whole one, 0 to {most}"
            ) from None
        if whole != number or not 0 <= whole <= most:
            raise self.refused(field, f"it is {told}; write a whole number, 0 to {most}")
        return whole

    def instant(self, field: str) -> int | None:
        return self.number(field) if self.text(field) else None


def _rows(text: str, where: str, needed: Iterable[str]) -> Iterator[_Row]:
    reader = csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    empty = True
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        if absent := [name for name in needed if name not in names]:
            raise TraceRefused(
                f"{where}, line 1: {absent[0]}: no such column; the first line names the columns,"
                f" at least {', '.join(needed)}"
            )
        reader.fieldnames = names
        for cells in reader:
            empty = False
            row = _Row(where, reader.line_num, cells)
            if None in cells:
                raise row.refused(names[-1], "more cells follow than there are columns; quote ','")
            yield row
    except csv.Error as error:
        raise TraceRefused(
            f"{where}, line {reader.line_num}: it is no CSV ({error}); mend or remove the line"
        ) from None
    if empty:
        raise TraceRefused(f"{where}: it holds no rows below its first line; add some")
