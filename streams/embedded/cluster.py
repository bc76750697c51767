"""What the stack needs of the Kafka that it runs on: its own, Apache Kafka, or somebody else's."""

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Protocol

from typing_extensions import Self

from streams.errors import StackError
from workers.settings import KafkaSettings


class Cluster(Protocol):
    """A Kafka cluster that the stack starts and stops, or only uses."""

    @property
    def forgets(self) -> bool:
        """Whether what it holds is lost when it ends."""
        ...

    @property
    def limit_mib(self) -> int:
        """Memory at which the stack has to end, MiB; 0 where there is no such limit."""
        ...

    @property
    def log(self) -> Path | None:
        """Where it writes its log; None when it is not ours."""
        ...

    @property
    def pid(self) -> int:
        """A process id; 0 when there is none or it is not ours."""
        ...

    @property
    def alive(self) -> bool:
        """Whether there is any use in talking to it."""
        ...

    def reached(self, given: KafkaSettings) -> KafkaSettings:
        """Return settings that reach it; what was told in `given` stands where it can."""
        ...

    def launch(self) -> None:
        """Start it without waiting. Raises StackError when it cannot be started."""
        ...

    def wait(self) -> None:
        """Return when it answers. Raises StackError when it does not."""
        ...

    def check(self) -> None:
        """Raise StackError when the stack cannot go on with it."""
        ...

    def memory_mib(self) -> float:
        """Return the resident memory of its processes, MiB; 0 when it is not ours."""
        ...

    def stop(self) -> None:
        """End it, when it is ours."""
        ...


class Owned(ABC):
    """A cluster of our own as a context manager: it answers when entered, and ends when left."""

    @abstractmethod
    def launch(self) -> None:
        """Start it without waiting. Raises StackError when it cannot be started."""

    @abstractmethod
    def wait(self) -> None:
        """Return when it answers. Raises StackError when it does not."""

    @abstractmethod
    def stop(self) -> None:
        """End it."""

    def __enter__(self) -> Self:
        self.launch()
        try:
            self.wait()
        except StackError:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
