"""How many messages a second a processor takes through its host, on an embedded broker.

Definitions and events stand on the topics before the host begins. CPU time of this process, with
librdkafka's threads, from when the host has its partitions until all is applied and committed; the
broker is another process. What a consumer takes that does nothing with the messages bounds it.
"""

import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client import Counter

from schemas import topics
from schemas.base import Event
from schemas.codec import Codec
from schemas.processing import Spec
from streams.embedded.broker import Broker
from workers.hosting import metrics
from workers.hosting.host import LONGEST_GATHER_S, PROMPT_FETCH_WAIT_MS, BatchHost
from workers.kafka import clients as kafka
from workers.local import local_codec
from workers.settings import KafkaSettings, Settings

_POLL_S = 0.02
_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages a second of CPU: through the host, and read by a consumer that drops them.

    0 when they were not all taken within five minutes.
    """

    hosted: float
    read: float


def rates(spec: Spec, definitions: Iterable[Event], events: Iterable[Event]) -> Rates:
    """Return what a host takes of events of one topic, its processor's only input."""
    codec = local_codec()
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "broker.log") as broker:
        section = broker.reached(KafkaSettings())
        kafka.create_topics(
            section, [replace(one, retention_ms=-1) for one in topics.TOPICS.values()]
        )
        _send(section, codec, definitions)
        count = _send(section, codec, events)
        settings = Settings(kafka=section)
        read = _read(settings, spec.inputs[0], count)
        return Rates(_taken(BatchHost(spec, settings, codec=codec), count), read)


def _send(section: KafkaSettings, codec: Codec, events: Iterable[Event]) -> int:
    producer, count = kafka.producer(section), 0
    for event in events:
        topic, key = topics.topic_of(event), topics.key_of(event).encode()
        while True:
            try:
                producer.produce(topic, codec.encode(event), key)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        count += 1
    producer.flush(60)
    return count


def _read(settings: Settings, topic: str, count: int) -> float:
    section = settings.kafka
    consumer = kafka.reader(section, **kafka.patient(section, PROMPT_FETCH_WAIT_MS))
    begun, until, left = time.process_time(), time.monotonic() + _LIMIT_S, count
    kafka.assign_all(consumer, section, [topic])
    while left > 0 and time.monotonic() < until:
        found = kafka.drain(consumer, settings.host.batch, _POLL_S, LONGEST_GATHER_S)
        left -= len(found) - sum(map(kafka.is_eof, found))
    spent = time.process_time() - begun
    consumer.close()
    return 0.0 if left > 0 else count / spent


def _taken(host: BatchHost, count: int) -> float:
    applied = metrics.MESSAGES.labels(host.spec.name)
    stop = threading.Event()
    thread = threading.Thread(target=host.run, args=(stop,), name="host")
    before = _value(applied)
    thread.start()
    until = time.monotonic() + _LIMIT_S
    while not host.ready and thread.is_alive():
        time.sleep(_POLL_S)
    begun = time.process_time()
    while _value(applied) - before < count and thread.is_alive() and time.monotonic() < until:
        time.sleep(_POLL_S)
    done = _value(applied) - before >= count
    stop.set()
    thread.join(60)  # what is under way is committed
    return count / (time.process_time() - begun) if done else 0.0


def _value(counter: Counter) -> float:
    (family,) = counter.collect()
    return float(next(one.value for one in family.samples if one.name.endswith("_total")))
