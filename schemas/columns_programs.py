"""From writers' schemas of metrics to programs for the compiled reader."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas import columns, files
from schemas import kernels_metrics as kernels
from schemas.codec import record_name
from schemas.columns_block import fields_of

RECORD = "MetricReport"
_KINDS = {
    "long": kernels.LONG,
    "int": kernels.INT,
    "double": kernels.DOUBLE,
    "float": kernels.FLOAT,
    "boolean": kernels.BOOLEAN,
    "string": kernels.TEXT,
    "bytes": kernels.TEXT,
}
_TARGETS = {"event_time": kernels.TIME, "value": kernels.VALUE, "request_id": kernels.REQUEST}
_TARGETS |= {name: kernels.KEY + place for place, name in enumerate(columns.KEYS)}
_READABLE = {
    kernels.TIME: ("long", "int"),
    kernels.VALUE: ("double", "float", "long", "int"),
}
_DROPPED = -1


@lru_cache(maxsize=256)
def program_of(writer: str) -> npt.NDArray[np.int64] | None:
    """Return the program that reads what was written with a schema, given as JSON.

    None where it takes more than a program can say: other records, fields that are neither
    primitives nor null, defaults that are not empty, fields that are missing.
    """
    if record_name(writer) != RECORD:
        return None
    written = {field["name"]: field["type"] for field in fields_of(writer)}
    targets = _targets(written)
    if targets is None:
        return None
    steps = [_step(kind, targets.get(name, _DROPPED)) for name, kind in written.items()]
    plain = [step for step in steps if step is not None]
    return np.array(plain, np.int64) if len(plain) == len(steps) else None


def _targets(written: dict[str, Any]) -> dict[str, int] | None:
    """Return what becomes of the written fields that are wanted; None where some are missing."""
    targets = {}
    for field in fields_of(files.text(RECORD)):
        names = (field["name"], *field.get("aliases", ()))
        given = next((name for name in names if name in written), None)
        target = _TARGETS.get(field["name"], _DROPPED)
        if given is None:
            empty = None if target == kernels.REQUEST else ""
            if "default" not in field or (target != _DROPPED and field["default"] != empty):
                return None
        elif target == _DROPPED and written[given] != field["type"]:
            return None
        else:
            targets[given] = target
    return targets


def _step(kind: Any, target: int) -> tuple[int, int, int] | None:
    """Return the kind of a field, where null stands among its branches, and its target."""
    null_at = -1
    if isinstance(kind, list):
        if len(kind) != 2 or "null" not in kind:
            return None
        null_at = kind.index("null")
        kind = kind[1 - null_at]
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    if target != _DROPPED and kind not in _READABLE.get(target, ("string",)):
        return None
    return _KINDS[kind], null_at, target
