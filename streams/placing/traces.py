"""Traces of clusters as files: nodes and pods in the CSV form of openb."""

from pathlib import Path

from placement.cluster.needs import Machine
from placement.errors import TraceRefused
from placement.replay.traces import Pod, machines_of, pods_of


def read(nodes: Path, pods: Path) -> tuple[tuple[Machine, ...], tuple[Pod, ...]]:
    """Return the nodes and copies of two files.

    Raises TraceRefused, naming file, line, field and remedy.
    """
    return machines_of(_text(nodes), f"{nodes}"), pods_of(_text(pods), f"{pods}")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise TraceRefused(f"{path}: {error.strerror}; name a CSV file") from error
    except UnicodeDecodeError as error:
        raise TraceRefused(f"{path}: it is no text in UTF-8; save it as such") from error
