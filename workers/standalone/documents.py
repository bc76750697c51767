"""Documents of runs: written whole or not at all, and read back with what is wrong in them told."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.standalone.errors import RunRefused

FORMAT = "weir-worker-run"
VERSION = 1
_PARTS = ("name", "mode", "order", "frames", "models", "resources", "versions", "work")


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
    remedy = "name a file that `weir worker run --output` wrote"
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RunRefused(f"{path}: {error.strerror}; {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise RunRefused(f"{path} is no JSON: {error}; {remedy}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RunRefused(f"{path}: format: it is not {FORMAT!r}; {remedy}")
    if found.get("version") != VERSION:
        raise RunRefused(
            f"{path}: version: it is {found.get('version')!r}, and this Weir reads {VERSION}; "
            "run again, or use the Weir that wrote it"
        )
    missing = [part for part in _PARTS if part not in found]
    if missing:
        raise RunRefused(f"{path}: {missing[0]}: it is missing; {remedy}")
    return found
