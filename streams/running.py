"""What runs on this machine out of a data directory: written by the stack, read by commands.

The file `stack.json` names processes and endpoints. It counts only while the process that wrote
it lives, which is told by its id and its start time together.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from streams.settings import load
from workers.settings import Settings
from workers.settings_section import Section

FILE = "stack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process of the stack; `health` is where it serves /ready, empty when it does not.

    `refusal` is what it said last when it ended because starting again does not help.
    """

    name: str
    pid: int
    alive: bool
    ready: bool
    restarts: int
    memory_mib: float
    health: str
    log: str
    renewals: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The stack as it last described itself; `limit_mib` bounds the broker's memory."""

    pid: int
    started: float
    ready: bool
    bootstrap: str
    registry: str
    clickhouse_host: str
    clickhouse_port: int
    limit_mib: int
    data_dir: str
    parts: tuple[Part, ...] = ()


def write(state: State) -> None:
    """Put the state where commands find it, at once and whole."""
    place = Path(state.data_dir) / FILE
    waiting = place.with_suffix(".new")
    waiting.write_text(json.dumps(asdict(state), indent=2), "utf-8")
    os.replace(waiting, place)


def remove(data_dir: Path) -> None:
    """Take the state away."""
    (data_dir / FILE).unlink(missing_ok=True)


def find(data_dir: Path) -> State | None:
    """Return the state of the stack that runs out of a data directory, or None."""
    try:
        raw = json.loads((data_dir / FILE).read_text("utf-8"))
        parts = tuple(Part(**part) for part in raw.pop("parts"))
        state = State(**raw, parts=parts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return state if is_running(state.pid, state.started) else None


def is_running(pid: int, started: float) -> bool:
    """Return whether the process that began then still runs under this id."""
    try:
        process = psutil.Process(pid)
        gone = process.status() == psutil.STATUS_ZOMBIE
        return not gone and abs(process.create_time() - started) < 1
    except psutil.NoSuchProcess:
        return False


def settings_of_running(
    config: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings in force, with the ports of the stack that runs in their data directory.

    What a file or a variable says stands: only what is left to its default is filled in.
    Beside a stack of one's own, one needs no name to change what has an owner, unless the
    settings say that one does.
    Raises SettingsError.
    """
    settings = load(config, environ)
    state = find(settings.data_dir)
    if state is None:
        return settings
    found: dict[str, dict[str, str | int | bool]] = {
        "kafka": {"bootstrap": state.bootstrap},
        "registry": {"url": state.registry},
        "clickhouse": {"host": state.clickhouse_host, "port": state.clickhouse_port},
    }
    if "anonymous" not in settings.authority.model_fields_set:
        found["authority"] = {"anonymous": True}
    return settings.model_copy(
        update={name: _filled(getattr(settings, name), values) for name, values in found.items()}
    )


def _filled(section: Section, values: Mapping[str, str | int | bool]) -> Section:
    """Return the section with values for those of its fields that are left to their defaults."""
    fields = type(section).model_fields
    left = {k: v for k, v in values.items() if getattr(section, k) == fields[k].default}
    return section.model_copy(update=left)
