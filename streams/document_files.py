"""Documents of other tools, read from JSON files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.handover.errors import DocumentRefused

MOST_BYTES = 64 << 20


def read(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises DocumentRefused for a file that is not there, too large, or no JSON: NaN, infinity and
    keys that stand twice in one table are none.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DocumentRefused(f"{path}: it has more than {MOST_BYTES >> 20} MiB; cut it down")
        text = path.read_text("utf-8")
    except OSError as error:
        raise DocumentRefused(f"{path}: {error.strerror}; name a JSON file") from error
    except UnicodeDecodeError as error:
        raise DocumentRefused(f"{path}: it is no text in UTF-8; name a JSON file") from error
    try:
        return json.loads(text, object_pairs_hook=_paired, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise DocumentRefused(f"{path} is no JSON: {error or 'it is nested too deep'}") from error


def _paired(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice} stands twice in one table; keep one")
    return found


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number; write a finite one")
