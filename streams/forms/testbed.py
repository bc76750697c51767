"""Nodes and services as testbeds of edge clusters write them, read as Weir's. Pure.

The form has shares of cores and accelerators in percent, memory in MB (read as MiB) and clock
frequency in GHz. What has no counterpart is left out, and said to be.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_SENSITIVITY = {0: "none", 1: "cpu", 2: "memory", 3: "both"}
_STATUS = {"running": "ready", "queueing": "unknown"}
_GPU = "gpu"
_EXACT = 1 << 53
"""Below it, a float tells whole numbers apart."""
_RUN_TIME = ("status", "instance_ids", "running", "node")
"""What a testbed notes of a service while it runs: nothing that one registers."""
Plain = dict[str, Any]


class Unreadable(ValueError):
    """A field that cannot be read; the message names it and says what would do."""


def is_whole(content: Any) -> bool:
    """Return whether a file is a testbed's: everything below `data`."""
    return isinstance(content, dict) and content.keys() == {"data"}


def is_one(content: Mapping[str, Any], noun: str) -> bool:
    """Return whether a table is a testbed's node or service."""
    return f"{noun}_name" in content


def tables(content: Mapping[str, Any], noun: str) -> Iterator[tuple[str, Any, str]]:
    """Yield (place, table, application) of each node or service; nodes have no application."""
    for key, one in _table(content, "data").items():
        if noun == "node":
            yield f"data.{key}", one, ""
            continue
        for name, service in _table({key: one}, key).items():
            yield f"data.{key}.{name}", service, key


def translated(content: Mapping[str, Any], noun: str, app: str) -> tuple[Plain, tuple[str, ...]]:
    """Return the fields of Weir's form, and what was left out.

    Raises Unreadable, naming the field.
    """
    reader = _Reader(content)
    plain = _node(reader) if noun == "node" else _service(reader, app)
    return plain, tuple(reader.rest())


class _Reader:
    """Takes fields out of a table and remembers which are left."""

    def __init__(self, content: Mapping[str, Any], path: str = "") -> None:
        self._left = dict(content)
        self._path = path
        self._inner: list[_Reader] = []

    def take(self, key: str, read: Callable[[Any, str], Any], default: Any = None) -> Any:
        """Return a field as `read` reads it, the default when it is not there."""
        if key not in self._left:
            return default
        return read(self._left.pop(key), f"{self._path}{key}")

    def table(self, key: str) -> "_Reader":
        """Return the reader of a table, an empty one when it is not there."""
        place = f"{self._path}{key}"
        inner = _Reader(_table(self._left, key, place), f"{place}.")
        self._left.pop(key, None)
        self._inner.append(inner)
        return inner

    def tables(self, key: str) -> Iterator[tuple[str, "_Reader"]]:
        """Yield the readers of the tables in a table, by name."""
        inner = self.table(key)
        for name in inner.names():
            yield name, inner.table(name)

    def names(self) -> list[str]:
        """Return the fields that are left."""
        return list(self._left)

    def drop(self, *keys: str) -> None:
        """Leave fields out without a word."""
        for key in keys:
            self._left.pop(key, None)

    def items(self) -> Iterator[tuple[str, int]]:
        """Yield names and whole numbers of a table."""
        for key in self.names():
            yield key, self.take(key, _whole)

    def rest(self) -> Iterator[str]:
        """Yield the fields that nobody took."""
        yield from sorted(f"{self._path}{key}" for key in self._left)
        for inner in self._inner:
            yield from inner.rest()


def _node(reader: _Reader) -> Plain:
    cpu, memory, cores = reader.table("cpu"), reader.table("memory"), reader.table("cores")
    capacity, used = memory.table("capacity"), memory.table("used")
    frequency = reader.take("frequency", _number)
    plain: Plain = {
        "node": reader.take("node_name", _text),
        "cpu_milli": cpu.take("capacity", _whole),
        "cpu_used_milli": cpu.take("used", _whole, 0),
        "memory_mib": capacity.take("rss", _whole),
        "memory_used_mib": used.take("rss", _whole, 0),
        "virtual_memory_mib": capacity.take("vms", _whole, 0),
        "virtual_memory_used_mib": used.take("vms", _whole, 0),
        "cores": _cores(cores),
        "frequency_mhz": None if frequency is None else frequency * 1000,
        "hardware_id": reader.take("mac_address", _text, ""),
        "status": reader.take("status", _status, "ready"),
    }
    plain |= _accelerators(reader)
    return _said(plain)


def _cores(cores: _Reader) -> list[Plain]:
    has, used = cores.take("capacity", _percents, []), cores.take("used", _percents, [])
    if used and len(used) != len(has):
        raise Unreadable(f"cores.used has {len(used)} entries, cores.capacity {len(has)}")
    return [
        {"capacity_milli": one, "used_milli": taken}
        for one, taken in zip(has, used or [0] * len(has), strict=True)
    ]


def _accelerators(reader: _Reader) -> Plain:
    gpus: list[Plain] = []
    amounts: dict[str, Plain] = {}
    for name, one in reader.tables("accelerator"):
        kind = one.take("accelerator_type", _text, name)
        capacity, used = one.take("capacity", _whole, 100), one.take("used", _whole, 0)
        if kind == _GPU:
            if capacity != 100:
                raise Unreadable(
                    f"accelerator.{name}.capacity is {capacity}; a GPU has 100 percent"
                )
            model = one.take("model", _text, "")
            memory = one.take("memory", _whole, 0)
            told = {"index": len(gpus), "model": model, "memory_mib": memory}
            gpus.append({**told, "used_milli": used * 10, "hardware_id": ""})
        else:
            known = amounts.setdefault(kind, {"name": kind, "capacity": 0, "used": 0})
            known["capacity"] += capacity
            known["used"] += used
    return {"gpus": gpus, "amounts": list(amounts.values())}


def _service(reader: _Reader, app: str) -> Plain:
    memory = reader.table("memory_required")
    name = reader.take("service_name", _text)
    wanted = dict(reader.table("accelerator_required").items())
    plain: Plain = {
        "service": name,
        "app": reader.take("app", _text, app) or None,
        "stage": name,
        "image": reader.take("image", _text, ""),
        "cpu_milli": reader.take("cpu_required", _whole),
        "cpu_per_core_milli": sorted(reader.take("cores_required", _percents, []), reverse=True),
        "memory_mib": memory.take("rss", _whole),
        "virtual_memory_mib": memory.take("vms", _whole, 0),
        "gpu_milli": wanted.pop(_GPU, 0) * 10,
        "amounts": [{"name": kind, "amount": much} for kind, much in wanted.items() if much],
        "ports": reader.take("ports", _list, []),
        "port_mappings": reader.take("port_mapping", _mappings, []),
        "replicas": reader.take("replicas", _whole, 1),
        "sensitivity": reader.take("sensitivity", _sensitivity, "none"),
    }
    reader.drop(*_RUN_TIME)
    return _said(plain)


def _said(plain: Plain) -> Plain:
    """Return the fields that say something."""
    return {key: value for key, value in plain.items() if value not in (None, [], "")}


def _mappings(value: Any, path: str) -> list[Plain]:
    found = []
    for number, one in enumerate(_list(value, path)):
        reader = _Reader(_table({path: one}, path, f"{path}[{number}]"), f"{path}[{number}].")
        port = reader.take("con_port", _whole)
        if port is None:
            raise Unreadable(f"{path}[{number}].con_port is missing; give the container's port")
        exposed = reader.take("phy_port", _whole, 0)
        found.append({"name": f"port-{port}", "port": port, "exposed": exposed})
    return found


def _table(content: Mapping[str, Any], key: str, path: str = "") -> Mapping[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise Unreadable(f"{path or key} must be a table with named fields: {value!r:.60}")
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"{path} must be text: {value!r:.60}")
    return value


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{path} must be a number: {value!r:.60}")
    if not -_EXACT < value < _EXACT:
        raise Unreadable(f"{path} must be a number below {_EXACT}: {value!r:.60}")
    return float(value)


def _whole(value: Any, path: str) -> int:
    number = _number(value, path)
    if not number.is_integer():
        raise Unreadable(f"{path} must be a whole number: {value!r:.60}")
    return int(number)


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable(f"{path} must be a list: {value!r:.60}")
    return value


def _percents(value: Any, path: str) -> list[int]:
    """Return shares of cores in thousandths."""
    return [round(_number(one, f"{path}[{i}]") * 10) for i, one in enumerate(_list(value, path))]


def _status(value: Any, path: str) -> str:
    status = _STATUS.get(_text(value, path))
    if status is None:
        raise Unreadable(f"{path} is {value!r}; it must be {' or '.join(_STATUS)}")
    return status


def _sensitivity(value: Any, path: str) -> str:
    found = _SENSITIVITY.get(_whole(value, path))
    if found is None:
        raise Unreadable(f"{path} is {value}; 0 is none, 1 CPU, 2 memory, 3 both")
    return found
