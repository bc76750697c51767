"""A Kafka cluster that runs already: used, never started or stopped."""

from streams.errors import StackError
from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings

START_S = 10.0


class External:
    """The cluster that the settings name, with their security; a `Cluster`.

    The stack waits for it when it is away: its end is not the stack's.
    """

    forgets = False
    limit_mib = 0
    log = None
    pid = 0
    alive = True

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def reached(self, given: KafkaSettings) -> KafkaSettings:
        """Return the settings with its address."""
        return given.model_copy(update={"bootstrap": self._settings.bootstrap})

    def launch(self) -> None:
        """Do nothing: it runs."""

    def wait(self) -> None:
        """Return when it answers. Raises StackError when it does not within 10 s."""
        try:
            kafka.partition_counts(self._settings, START_S)
        except KafkaUnavailable as error:
            raise StackError(str(error)) from error

    def check(self) -> None:
        """Do nothing: clients wait for it."""

    def memory_mib(self) -> float:
        """Return 0: its memory is not ours."""
        return 0.0

    def stop(self) -> None:
        """Do nothing: it runs on."""
