"""What a worker needs of a runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

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


class Session(Protocol):
    """A loaded model."""

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


class Runtime(Protocol):
    """Loads models of one kind of artifact."""

    @property
    def name(self) -> str:
        """Return the runtime's name, as results tell it."""
        ...

    def load(self, artifact: Path, device: str = "cpu") -> Session:
        """Load a model for a device: cpu, cuda or tensorrt.

        Raises BrokenModel, ProviderMissing.
        """
        ...
