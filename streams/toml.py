"""TOML as the standard library reads it from Python 3.11 on."""

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parsed(text: str) -> dict[str, Any]:
    """Return what a text in TOML says. Raises ValueError, saying where, when it is none."""
    return tomllib.loads(text)
