"""Files that people write: TOML, JSON or YAML by the end of their names, and lists of numbers.

What is wrong in one is told by an error of the caller's kind, naming the file and what would do.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from streams import toml
from workers.errors import WorkerError

Refusal = type[WorkerError]
MOST_VALUES = 1_000_000
"""So many a file in YAML holds at most, those that aliases repeat counted each time."""


def content(path: Path, refusal: Refusal, remedy: str) -> Any:
    """Return what a file says; `remedy` is what to do when it cannot be read.

    Keys that stand twice in one table are refused. Raises `refusal`.
    """
    kind, parse = _PARSERS.get(path.suffix.lower(), ("", None))
    found = text(path, f"{path}", refusal, remedy)
    if parse is None:
        raise refusal(f"{path}: its name ends in none of {', '.join(_PARSERS)}")
    try:
        return parse(found)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise refusal(f"{path} is no {kind}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """Return what is wrong with a file, in words for who wrote it."""
    if "integer string conversion" in str(error):
        return f"a number has more than {sys.get_int_max_str_digits()} digits"
    return str(error) or "it is nested too deep"


def text(path: Path, where: str, refusal: Refusal, remedy: str) -> str:
    """Return the text of a file, called `where` in messages. Raises `refusal`."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise refusal(f"{where}: {error.strerror}; {remedy}") from error
    except UnicodeDecodeError as error:
        raise refusal(f"{where}: it is no text in UTF-8") from error


def instants(path: Path, where: str, refusal: Refusal) -> list[float]:
    """Return the numbers of a file, one a line; empty lines and those after # count for nothing.

    `where` is the field that names the file, after its own file. Raises `refusal`.
    """
    found = []
    for number, line in enumerate(
        text(path, f"{where}: {path}", refusal, "name one").splitlines(), 1
    ):
        told = line.partition("#")[0].strip()
        if not told:
            continue
        at = _finite(told)
        if at is None:
            raise refusal(
                f"{where}: {path}, line {number}: {told!r} is no number; one instant (ms) a line"
            )
        found.append(at)
    if not found:
        raise refusal(f"{where}: {path}: it holds no instants; one (ms) a line")
    return found


def _finite(told: str) -> float | None:
    """Return the number that a text tells, None where it tells none that is finite."""
    try:
        number = float(told)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class _Unrepeated(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping whose keys differ."""
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        _differ([str(self.construct_object(key)) for key in keys])
        return super().construct_mapping(node, deep)


def _of_yaml(text: str) -> Any:
    content = yaml.load(text, Loader=_Unrepeated)  # noqa: S506 - a SafeLoader
    _bounded(content)
    return content


def _bounded(content: Any) -> None:
    """Raise ValueError for what aliases make endless, or too large to be shown or looked at."""
    left, seen = [content], 0
    while left:
        one = left.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ValueError(f"with its aliases it holds more than {MOST_VALUES} values")
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one


def _of_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_paired)


def _paired(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    _differ([key for key, _ in pairs])
    return dict(pairs)


def _differ(keys: Sequence[str]) -> None:
    if twice := sorted(key for key, times in Counter(keys).items() if times > 1):
        raise ValueError(f"{twice[0]} stands twice in one table; keep one")


_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    ".toml": ("TOML", toml.parsed),
    ".json": ("JSON", _of_json),
    ".yaml": ("YAML", _of_yaml),
    ".yml": ("YAML", _of_yaml),
}
