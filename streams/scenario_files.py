"""Scenario files: TOML, JSON or YAML, or the name of one that is shipped."""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from streams import toml
from workers.simulation.errors import ScenarioRefused
from workers.simulation.reading import scenario_of
from workers.simulation.scenario import Scenario

_SHIPPED = files("workers.simulation") / "scenarios"


def shipped() -> list[str]:
    """Return the names of the scenarios that are shipped."""
    return sorted(entry.name.removesuffix(".toml") for entry in _SHIPPED.iterdir())


def read(name: str) -> Scenario:
    """Return the scenario of a file, or the shipped one of this name where there is no such file.

    Raises ScenarioRefused, naming file, field and remedy.
    """
    path = Path(name)
    if not path.exists() and name in shipped():
        text = (_SHIPPED / f"{name}.toml").read_text("utf-8")
        return scenario_of(toml.parsed(text), name)
    content = _parsed(path, _text(path, f"{path}", f"shipped are {', '.join(shipped())}"))
    return scenario_of(content, f"{path}", lambda file: _instants(path.parent / file, f"{path}"))


def _text(path: Path, where: str, remedy: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ScenarioRefused(f"{where}: {error.strerror}; {remedy}") from error
    except UnicodeDecodeError as error:
        raise ScenarioRefused(f"{where}: it is no text in UTF-8") from error


def _parsed(path: Path, text: str) -> Any:
    kind, parse = _PARSERS.get(path.suffix.lower(), ("", None))
    if parse is None:
        raise ScenarioRefused(f"{path}: its name ends in none of {', '.join(_PARSERS)}")
    try:
        return parse(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ScenarioRefused(f"{path} is no {kind}: {error or 'it is nested too deep'}") from error


def _instants(path: Path, where: str) -> list[float]:
    """Return the numbers of a file, one a line; empty lines and those after # count for nothing."""
    found = []
    for number, line in enumerate(_text(path, f"{where}: {path}", "name one").splitlines(), 1):
        told = line.partition("#")[0].strip()
        if not told:
            continue
        try:
            found.append(float(told))
        except ValueError:
            raise ScenarioRefused(
                f"{where}: {path}, line {number}: {told!r} is no number; one instant (ms) a line"
            ) from None
    if not found:
        raise ScenarioRefused(f"{where}: {path}: it holds no instants; one (ms) a line")
    return found


class _Unrepeated(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping whose keys differ."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        _differ([str(key) for key in keys])
        return super().construct_mapping(node, deep)


def _of_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Unrepeated)  # noqa: S506 - a SafeLoader


def _of_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_paired)


def _paired(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    _differ([key for key, _ in pairs])
    return dict(pairs)


def _differ(keys: Sequence[str]) -> None:
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"{twice[0]} stands twice in one table; keep one")


_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    ".toml": ("TOML", toml.parsed),
    ".json": ("JSON", _of_json),
    ".yaml": ("YAML", _of_yaml),
    ".yml": ("YAML", _of_yaml),
}
