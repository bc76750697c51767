"""Leaders of partitions, behind the door to Kafka."""

import time

from confluent_kafka import ElectionType, KafkaError, KafkaException

from workers.kafka import clients as kafka
from workers.settings import KafkaSettings

CALL_S = 10.0
PAUSE_S = 0.2
_DONE = (KafkaError.NO_ERROR, KafkaError.ELECTION_NOT_NEEDED)


def elect_preferred(settings: KafkaSettings, timeout_s: float = 60.0) -> int:
    """Give every partition back to the broker that is meant to lead it; return how many moved.

    A broker that has just come back has to catch up first: it is asked again until all that
    lacked their leader have it. Raises KafkaUnavailable when that takes longer than `timeout_s`.
    """
    client = kafka.admin(settings)
    deadline = time.monotonic() + timeout_s
    moved = 0
    while True:
        try:
            # no timeout as an argument: confluent-kafka 2.16 ends with a SystemError on any
            found = client.elect_leaders(ElectionType.PREFERRED, None).result(CALL_S)
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise kafka.unavailable(settings, error) from error
            time.sleep(PAUSE_S)
            continue
        refused = [e for e in found.values() if e is not None and e.code() not in _DONE]
        moved += sum(1 for error in found.values() if error is None)
        if not refused:
            return moved
        if time.monotonic() > deadline:
            raise kafka.unavailable(settings, KafkaException(refused[0]))
        time.sleep(PAUSE_S)
