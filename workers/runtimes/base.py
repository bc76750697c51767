"""What a worker needs of a runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a model; a dimension of None takes any size."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives, and the properties that stand in its file."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def batches(self) -> bool:
        """Whether tasks can be joined along the first dimension of every input."""
        return all(port.shape and port.shape[0] is None for port in self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How a model is to be loaded: its device, how long it may take, its runtime's own options.

    `made` is a folder in which a runtime may keep what it makes of models, if there is one.
    """

    device: str = "cpu"
    deadline_ms: float = 10_000.0
    load_ms: float = 120_000.0
    options: Mapping[str, str] = field(default_factory=dict)
    made: Path | None = None


DEFAULT = Load()


class Session(Protocol):
    """A loaded model.

    There is no word for unloading it: what it holds is let go of with the last reference to it.
    """

    @property
    def signature(self) -> Signature:
        """Return what it takes and gives."""
        ...

    @property
    def provider(self) -> str:
        """Return the execution provider in force."""
        ...

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute on one array per input, in the signature's order; returns one per output.

        Raises ExecutionFailed.
        """
        ...


@runtime_checkable
class Troubled(Protocol):
    """A session that may be unable to serve for a while; routers are told to go elsewhere."""

    @property
    def trouble(self) -> str | None:
        """Return why it serves nothing now; None when it does."""
        ...


class Runtime(Protocol):
    """Loads models of one kind of artifact."""

    @property
    def name(self) -> str:
        """Return the runtime's name, as results tell it."""
        ...

    @property
    def fetches(self) -> bool:
        """Tell whether its artifacts are files; if not, it is given the URI as it stands."""
        ...

    def load(self, artifact: Path | str, terms: Load = DEFAULT) -> Session:
        """Load a model, ready to execute.

        Raises RuntimeFailure: BrokenModel, ProviderMissing, ArtifactMissing.
        """
        ...
