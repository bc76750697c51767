"""Bodies as an API server reads and writes them: JSON that is YAML too, and lines of JSON."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_FORBIDDEN = re.compile("[\x7f-\x9f\ufffe\uffff]")


def written(body: Any) -> bytes:
    """Return JSON that is YAML too: all but the characters that YAML forbids stand for themselves.

    Written as pairs of escapes, as JSON may, characters beyond the basic plane would be two.
    """
    told = json.dumps(body, ensure_ascii=False)
    return _FORBIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", told).encode("utf-8", "replace")


def parsed(raw: bytes) -> Mapping[str, Any]:
    """Return a JSON object; what is none is the message of one."""
    try:
        told = json.loads(raw)
    except ValueError:
        return {"message": raw[:500].decode("utf-8", "replace")}
    return told if isinstance(told, dict) else {"message": str(told)[:500]}


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines as they come."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line)
