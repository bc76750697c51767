"""The weights that ship with the package: the only I/O of the algorithms."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def document(name: str) -> dict[str, Any]:
    """Return the document of weights that was learned for an algorithm; not to be changed."""
    text = (files("placement") / "algorithms" / f"{name}.json").read_text("utf-8")
    read: dict[str, Any] = json.loads(text)
    return read
