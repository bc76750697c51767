"""Documents of runs: written whole or not at all, and read back with what is wrong in them told."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from workers.standalone.errors import RunRefused
from workers.wording import told

FORMAT = "weir-worker-run"
VERSION = 1
_REMEDY = "name a file that `weir worker run --output` wrote"
Counts = dict[str, int]


class _Kept(BaseModel):
    """What is read of a part of a document; it may say more."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Served(_Kept):
    priority: int
    budget_ms: float
    queue_tasks: int


class _Loaded(_Kept):
    runtime: str
    provider: str
    digest: str
    warm_ms: list[float]


class _Reading(_Kept):
    unit: str
    mean: float
    max: float


class _Tally(_Kept):
    arrived: int
    executed: int
    in_time: int
    late: int
    failed: int
    dropped: int
    expired: int
    rejected: int
    value_share: float
    longest_gap_ms: float
    end_to_end_ms: dict[str, float | None]
    reasons: dict[str, Counts]
    examples: dict[str, str]


class _Work(_Kept):
    lasted_ms: float
    busy_share: float
    wasted_share: float
    decisions: dict[str, Counts]
    total: _Tally
    services: dict[str, _Tally]


class _Document(_Kept):
    name: str
    mode: str
    load: float
    order: str
    frames: int
    complete: bool
    behind_ms: float
    versions: dict[str, str]
    services: dict[str, _Served]
    models: dict[str, _Loaded]
    resources: dict[str, _Reading]
    degradation: dict[str, float]
    work: _Work


def write(document: Mapping[str, Any], path: Path) -> None:
    """Write a document in the place of what stands there. Raises OSError."""
    waiting = path.with_name(f".{path.name}.new")
    try:
        waiting.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", "utf-8")
        os.replace(waiting, path)
    finally:
        waiting.unlink(missing_ok=True)


def writable(path: Path) -> None:
    """Find out that a document could be written there, before a long run. Raises RunRefused."""
    if path.is_dir():
        raise RunRefused(f"{path}: it is a folder; name a file (--output)")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise RunRefused(f"{path}: {path.parent} is no folder that we may write in (--output)")


def read(path: Path) -> dict[str, Any]:
    """Return the document of a run. Raises RunRefused, naming file, field and remedy."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RunRefused(f"{path}: {error.strerror}; {_REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise RunRefused(f"{path} is no JSON: {error}; {_REMEDY}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RunRefused(f"{path}: format: it is not {FORMAT!r}; {_REMEDY}")
    if found.get("version") != VERSION:
        raise RunRefused(
            f"{path}: version: it is {found.get('version')!r}, and this Weir reads {VERSION}; "
            "run again, or use the Weir that wrote it"
        )
    try:
        _Document.model_validate(found)
    except ValidationError as error:
        wrong = told(error, found, _Document, "the document")
        raise RunRefused(f"{path}: {wrong}; {_REMEDY}") from None
    return found
