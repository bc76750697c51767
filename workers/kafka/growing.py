"""More partitions for topics that exist, behind the door to Kafka."""

import time
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.cimpl import NewPartitions

from workers.errors import KafkaUnavailable, RecoveryRefused
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings

CALL_S = 30.0


def grow(settings: KafkaSettings, counts: Mapping[str, int], timeout_s: float = CALL_S) -> None:
    """Give topics so many partitions, and return when the cluster says that they have them.

    Those that have them are left as they are. Raises RecoveryRefused when the broker refuses,
    KafkaUnavailable when it does not answer.
    """
    have = kafka.partition_counts(settings, needed=counts)
    wanted = [NewPartitions(name, count) for name, count in counts.items() if have[name] < count]
    if wanted:
        client = kafka.admin(settings)
        for name, future in client.create_partitions(wanted, operation_timeout=timeout_s).items():
            try:
                future.result(timeout_s)
            except KafkaException as error:
                raise _refused(settings, name, error) from error
    until = time.monotonic() + timeout_s
    while any(kafka.partition_counts(settings).get(name, 0) < n for name, n in counts.items()):
        if time.monotonic() > until:
            raise KafkaUnavailable(
                f"Kafka at {settings.bootstrap} does not show the new partitions after "
                f"{timeout_s:.0f} s"
            )
        time.sleep(0.1)


def _refused(settings: KafkaSettings, name: str, error: KafkaException) -> Exception:
    cause = error.args[0]
    if cause.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):  # noqa: SLF001
        return kafka.unavailable(settings, error)
    return RecoveryRefused(
        f"the broker does not give {name} more partitions: {cause.str()}; nothing else was changed"
    )
