"""Simulated nodes: what this machine plays, by default or from a TOML file."""

from pathlib import Path

from pydantic import ValidationError

from streams import toml
from streams.errors import SettingsError
from workers.settings import LocalSettings, NodeSection

DEFAULT = (
    NodeSection(name="edge-large", cpu_milli=4000, memory_mib=4096, speed=1.0, zone="hall"),
    NodeSection(name="edge-medium", cpu_milli=2000, memory_mib=2048, speed=0.8, zone="hall"),
    NodeSection(name="edge-small", cpu_milli=1000, memory_mib=1024, speed=0.6, zone="gate"),
    NodeSection(name="edge-tiny", cpu_milli=500, memory_mib=512, speed=0.4, zone="gate"),
)
"""Four unequal nodes; cores in thousandths, memory in MiB, speed relative to this machine."""


def read(file: Path) -> tuple[NodeSection, ...]:
    """Return the nodes of a file with one `[[nodes]]` table for each.

    Raises SettingsError, naming file and key.
    """
    try:
        content = toml.parsed(file.read_text("utf-8"))
        nodes = LocalSettings.model_validate(content).nodes
    except OSError as error:
        raise SettingsError(f"nodes file {file}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"nodes file {file}: {key}: {first['msg']}") from error
    except ValueError as error:
        raise SettingsError(f"nodes file {file} is no TOML: {error}") from error
    names = [node.name for node in nodes]
    if len(set(names)) != len(names) or not names:
        raise SettingsError(f"nodes file {file}: needs [[nodes]] with names that differ")
    return nodes
