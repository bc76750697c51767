"""The parts of `weir bench ensemble`: each is a function in a module of its own."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Given:
    """What the command was told: a folder of profiles, the seed of all draws, where to report.

    `bootstrap` is a Kafka cluster that takes the place of one of the bench's own.
    """

    profiles: Path | None
    seed: int
    say: Callable[[str], None]
    bootstrap: str | None = None


PARTS: Mapping[str, str] = {
    "ocad": "streams.bench.ensemble_ocad:measure",
    "paired": "streams.bench.ensemble_paired:measure",
    "selection": "streams.bench.ensemble_selection:measure",
    "routing": "streams.bench.ensemble_routing:measure",
    "gateway": "streams.bench.ensemble_gateway:measure",
}
"""Parts by name: the module, and its function from Given to the keys of the result."""


def measure(names: Collection[str], given: Given) -> dict[str, Any]:
    """Return the figures of these parts, all when there are none; raises KeyError for others."""
    found: dict[str, Any] = {}
    for name in names or PARTS:
        module, _, function = PARTS[name].partition(":")
        told = getattr(import_module(module), function)(given)
        given.say(f"{name}: {told}")
        found |= told
    return found
