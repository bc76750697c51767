"""Distributions on the path, as an installer would have left them, and what is said of plug-ins."""

from pathlib import Path

import pytest

from workers import plugin_points


def distribution(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, entries: str
) -> None:
    """Put `<name>.py` and the entry points of its distribution, version 1.2, on the path."""
    (folder / f"{name}.py").write_text(module)
    about = folder / f"{name}-1.2.dist-info"
    about.mkdir()
    told = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.2\n"
    (about / "METADATA").write_text(told)
    (about / "entry_points.txt").write_text(entries)
    monkeypatch.syspath_prepend(str(folder))


def refusals(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that will hold what is logged of plug-ins that cannot be used."""
    told: list[str] = []
    monkeypatch.setattr(plugin_points, "logger", lambda _: _Listening(told))
    return told


class _Listening:
    def __init__(self, told: list[str]) -> None:
        self._told = told

    def warning(self, event: str, **said: object) -> None:
        self._told.append(f"{event} {said}")
