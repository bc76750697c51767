"""A worker's own task topic, behind the door to Kafka."""

from confluent_kafka import KafkaException, Message, TopicPartition

from workers.kafka import clients as kafka
from workers.settings import KafkaSettings

CALL_S = 10.0


class TaskLog:
    """The only partition of a task topic, assigned without a group and read by one worker.

    Reading goes on from `start`; without one from the position that a former worker of the same
    name committed.
    """

    def __init__(self, settings: KafkaSettings, topic: str, start: int | None = None) -> None:
        """Open the topic, which exists. Raises KafkaUnavailable."""
        self._settings = settings
        self._topic = topic
        self._consumer = kafka.consumer(
            settings, f"weir-worker-{topic}", enable_partition_eof=False
        )
        self._committed = self._former_position() if start is None else start
        self._consumer.assign([TopicPartition(topic, 0, self._committed)])

    def read(self, most: int, wait_s: float) -> list[Message]:
        """Return what is there, after waiting for a first message; raises KafkaUnavailable."""
        messages = kafka.drain(self._consumer, most, wait_s)
        for message in messages:
            kafka.check_alive(self._settings, message)
        return [message for message in messages if message.error() is None]

    def commit(self, position: int | None) -> None:
        """Note, without waiting, from where a successor is to read."""
        if position is not None and position != self._committed:
            place = TopicPartition(self._topic, 0, position)
            self._consumer.commit(offsets=[place], asynchronous=True)
            self._committed = position

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()

    def _former_position(self) -> int:
        try:
            (known,) = self._consumer.committed([TopicPartition(self._topic, 0)], timeout=CALL_S)
        except KafkaException as error:
            raise kafka.unavailable(self._settings, error) from error
        return max(0, known.offset)
