"""Bad entries of the catalogue as dead letters, which no host would write otherwise."""

from schemas.codec import Codec
from schemas.errors import ContractError
from workers.catalogue import log_bad
from workers.clock import Clock, wall_ms
from workers.deadletters import Refused, dead_letter
from workers.hosting.output import outgoing
from workers.kafka import clients as kafka
from workers.kafka.steady import SteadyProducer
from workers.settings import KafkaSettings


class BadEntries:
    """A callback for `CatalogueReader` that sends a dead letter per bad entry.

    Every reader of the catalogue meets the same entries: the dead letters have the same id.
    """

    def __init__(self, settings: KafkaSettings, codec: Codec, clock: Clock = wall_ms) -> None:
        self._settings = settings
        self._codec = codec
        self._clock = clock
        self._cluster = ""
        self._producer: SteadyProducer | None = None

    def __call__(self, message: kafka.RawMessage, error: ContractError) -> None:
        """Say in the log and on weir.deadletters what is wrong with an entry."""
        log_bad(message, error)
        if self._producer is None:
            self._cluster = kafka.cluster_id(self._settings)
            self._producer = SteadyProducer(self._settings)
        letter = dead_letter(
            Refused.of(message),
            error,
            processor="catalogue",
            now_ms=self._clock(),
            cluster=self._cluster,
        )
        record = outgoing(letter, self._codec)
        self._producer.produce(record.topic, record.value, key=record.key)
        self._producer.poll(0)

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait until what was sent is acknowledged."""
        if self._producer is not None:
            self._producer.flush(timeout_s)
