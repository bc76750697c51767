"""What machines are, whatever is free on them: which of them are of the sort that is asked for.

Each property is judged once per different value, not once per machine. Pure.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from placement.cluster.needs import Machine, Need

Mask = npt.NDArray[np.bool_]
_KEPT = 256
_NUMBERS = re.compile(r"v?\d+(\.\d+)*")


class Sorts:
    """The properties of N machines, by value."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.size = len(machines)
        self._taints = _Property([frozenset(m.taints) for m in machines])
        self._architecture = _Property([m.architecture for m in machines])
        self._system = _Property([m.operating_system for m in machines])
        self._zone = _Property([m.zone for m in machines])
        self._labels = _Property([frozenset(m.labels) for m in machines])
        self._software = _Property([m.software for m in machines])
        self._kept: dict[Hashable, Mask] = {}

    def accepted(self, need: Need) -> Mask:
        """Return, N, which machines are of the sort that a need asks for. Not to be changed."""
        sort = (
            *(need.architectures, need.zones, need.labels, need.tolerations),
            *(need.operating_systems, need.software),
        )
        if sort not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            masks = [mask for _, mask in self.each(need)]
            self._kept[sort] = np.logical_and.reduce([np.ones(self.size, np.bool_), *masks])
        return self._kept[sort]

    def each(self, need: Need) -> Iterator[tuple[str, Mask]]:
        """Yield each constraint on the sort of a machine, with who meets it."""
        tolerated = set(need.tolerations)
        yield "taint", self._taints.where(lambda taints: taints <= tolerated)
        if need.architectures:
            yield "architecture", self._architecture.where(need.architectures.__contains__)
        if need.operating_systems:
            yield "operating-system", self._system.where(need.operating_systems.__contains__)
        if need.zones:
            yield "zone", self._zone.where(need.zones.__contains__)
        if need.labels:
            yield "label", self._labels.where(frozenset(need.labels).issubset)
        for name, versions in need.software:
            yield (
                f"software {name}",
                self._software.where(
                    lambda told, name=name, versions=versions: has_version(told, name, versions)
                ),
            )

    def zone_of(self, row: int) -> Mask:
        """Return, N, which machines are in the zone of one."""
        same: Mask = self._zone.codes == self._zone.codes[row]
        return same


class _Property:
    """One property of all machines, as numbers of its different values."""

    def __init__(self, values: Sequence[Hashable]) -> None:
        numbers: dict[Hashable, int] = {}
        found = [numbers.setdefault(value, len(numbers)) for value in values]
        self.codes = np.array(found, np.int64)
        self._values = list(numbers)

    def where(self, holds: Callable[..., bool]) -> Mask:
        """Return, N, which machines have a value for which something holds."""
        verdicts = np.array([holds(value) for value in self._values], np.bool_)
        found: Mask = verdicts[self.codes]
        return found


def has_version(software: Sequence[tuple[str, str]], name: str, versions: str) -> bool:
    """Return whether software of a name is there, in a version that a specifier accepts.

    Versions are compared after PEP 440; of one that is none, its leading numbers are.
    """
    try:
        accepted = SpecifierSet(versions)
    except InvalidSpecifier:
        return False
    found = [version for own, version in software if own == name]
    return any(not versions or _within(version, accepted) for version in found)


def _within(told: str, accepted: SpecifierSet) -> bool:
    try:
        version = Version(told)
    except InvalidVersion:
        numbers = _NUMBERS.match(told)
        if numbers is None:
            return False
        version = Version(numbers[0])
    return accepted.contains(version, prereleases=True)
