"""Follows weir.observations from its end, without a group, for those that show the latest."""

import threading
from collections.abc import Callable

from schemas.codec import Codec
from schemas.errors import ContractError
from schemas.observing import Observation
from workers.kafka import clients as kafka
from workers.kafka import ends as kafka_ends
from workers.settings import KafkaSettings
from workers.telemetry import logger

TOPIC = "weir.observations"
MOST, WAIT_S = 5_000, 0.2

log = logger(__name__)


def follow(
    settings: KafkaSettings,
    codec: Codec,
    see: Callable[[Observation], None],
    stop: threading.Event,
    ready: threading.Event | None = None,
) -> None:
    """Hand every observation that is committed from now on to `see`, until `stop` is set.

    `ready`, where it is given, is set when it reads; one that cannot be decoded is logged and
    passed over. Raises KafkaUnavailable where the broker does not answer or lacks the topic.
    """
    client = kafka.reader(settings)
    try:
        ends = kafka_ends.ends(settings, kafka.places_of(client, settings, [TOPIC]))
        kafka.assign_more(client, {place: end.stable for place, end in ends.items()})
        if ready is not None:
            ready.set()
        while not stop.is_set():
            for message in kafka.drain(client, MOST, WAIT_S):
                kafka.check_alive(settings, message)
                if message.error() is not None:
                    continue
                try:
                    see(codec.decode(message.value() or b"", Observation))
                except ContractError as error:
                    log.warning("observation.not_shown", reason=str(error))
    finally:
        client.close()
