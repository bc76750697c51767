"""Runtimes of others: what installed distributions name under the entry point group.

The name of an entry point is the format of artifact that a registration gives, its value a
function without arguments that returns a Runtime; it is called when a worker starts. The laws
that a runtime keeps are tests: see `tests/unit/workers/runtime_laws.py`. Whatever the code of a
plug-in raises fails its own model, or one execution, and nothing else.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TypeVar

from workers import plugin_points
from workers.plugin_points import Unusable
from workers.runtimes.base import DEFAULT, Array, Load, Runtime, Session, Signature, Troubled
from workers.runtimes.errors import BrokenModel, ExecutionFailed, RuntimeFailure

GROUP = "weir.runtimes"
T = TypeVar("T")
PARTS = ("name", "fetches", "load")


def installed_runtimes(taken: "frozenset[str]") -> dict[str, Runtime]:
    """Return the runtimes by format; what is taken, or cannot be made, is logged and left out."""
    return plugin_points.installed(
        GROUP, lambda name: "the format is taken" if name in taken else "", made
    )


def made(point: EntryPoint) -> Runtime:
    """Return what an entry point makes. Raises Unusable, and what it raises."""
    runtime: Runtime = point.load()()
    missing = [part for part in PARTS if not hasattr(runtime, part)]
    if missing:
        raise Unusable(f"{point.value} has no {', '.join(missing)}")
    return GuardedRuntime(runtime)


class GuardedRuntime:
    """A runtime of others, of which nothing unforeseen comes."""

    def __init__(self, inner: Runtime) -> None:
        self._inner = inner
        self.name = str(inner.name)
        self.fetches = bool(inner.fetches)

    def load(self, artifact: Path | str, terms: Load = DEFAULT) -> "GuardedSession":
        """Load a model. Raises RuntimeFailure, whatever the plug-in raised."""
        return attempted(BrokenModel, lambda: GuardedSession(self._inner.load(artifact, terms)))


class GuardedSession:
    """A session of others, of which nothing unforeseen comes."""

    def __init__(self, inner: Session) -> None:
        self._inner = inner
        self.signature: Signature = inner.signature
        self.provider = str(inner.provider)

    @property
    def trouble(self) -> str | None:
        """Return why it serves nothing now, if it says so."""
        return self._inner.trouble if isinstance(self._inner, Troubled) else None

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute. Raises ExecutionFailed, whatever the plug-in raised."""
        return attempted(ExecutionFailed, lambda: list(self._inner.run(inputs)))


def attempted(kind: type[RuntimeFailure], call: Callable[[], T]) -> T:
    """Return what the code of others returns. Raises RuntimeFailure, of `kind` unless it was one.

    An execution that raises another RuntimeFailure than ExecutionFailed has failed as well.
    """
    try:
        return call()
    except ExecutionFailed:
        raise
    except Exception as error:  # the code of others must not end the worker
        if kind is not ExecutionFailed and isinstance(error, RuntimeFailure):
            raise
        raise kind(f"{type(error).__name__}: {error}") from error
