"""The door to Kafka: clients with the settings that everything here relies on.

Producers are idempotent with acks=all and place keys as Java's client does (murmur2). Consumers
read committed data from the start, commit only what they are told, and share co-partitioned
topics out by range. The other modules of `workers.kafka` are rooms behind the same door.
"""

import gc
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.topics import Topic
from workers.errors import KafkaUnavailable
from workers.kafka.listing import believed
from workers.settings import KafkaSettings
from workers.telemetry import plain_logger

ConsumerClient = Consumer
ProducerClient = Producer
ClientError = KafkaException
"""What clients raise of what Kafka refuses."""

MAX_MESSAGE_BYTES = 16 * 1_048_576
TRANSACTION_TIMEOUT_MS = 10_000
"""The most that settings may say."""
ASK_S = 5.0
GATHERED_BYTES = 65_536
"""What answers a fetch of a reader whom nobody waits for: a broker that answered each time that
something was written would spend more on such readers than on all others."""
TRANSACTION_RETRY_MS = 5
"""A transaction that follows another at once is refused until Kafka has finished that one, which
takes milliseconds; the pause before the next try, doubled each time, is what it then waits."""
DELIVERY_TIMEOUT_MS = 120_000
"""A message that is given up costs its producer the sequence: others may then be written twice."""
REGISTRY_TOPIC = Topic("_schemas", (), (), compacted=True)
"""The compacted topic of a schema registry that keeps its state in Kafka."""


_HOPELESS = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,  # noqa: SLF001
)


class RawMessage(Protocol):
    """What hosts need of a message; confluent_kafka.Message is one, the local log's another."""

    def topic(self) -> str | None:
        """Return the topic."""
        ...

    def partition(self) -> int | None:
        """Return the partition."""
        ...

    def offset(self) -> int | None:
        """Return the offset."""
        ...

    def key(self) -> bytes | None:
        """Return the key."""
        ...

    def value(self) -> bytes | None:
        """Return the value."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of the timestamp and the timestamp, ms since the epoch."""
        ...

    def headers(self) -> Any:
        """Return the headers as pairs of name and bytes; None or nothing when there are none."""
        ...


def client_config(settings: KafkaSettings) -> dict[str, Any]:
    """Return librdkafka's configuration common to all clients, security included."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap,
        "security.protocol": settings.security_protocol,
        "logger": plain_logger("librdkafka"),
        "log.connection.close": False,
        "reconnect.backoff.ms": 200,
        "reconnect.backoff.max.ms": 1000,
        "retry.backoff.ms": 50,
        "topic.metadata.refresh.interval.ms": 10_000,
    }
    optional = {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password.get_secret_value(),
        "ssl.ca.location": settings.ssl_ca,
        "ssl.certificate.location": settings.ssl_certificate,
        "ssl.key.location": settings.ssl_key,
    }
    return config | {key: value for key, value in optional.items() if value}


def producer(
    settings: KafkaSettings,
    *,
    linger_ms: int = 5,
    on_stats: Callable[[str], object] | None = None,
    **extra: Any,
) -> Producer:
    """Return an idempotent producer (acks=all); `extra` are librdkafka properties, dots as '_'.

    `on_stats` hears librdkafka's statistics, as JSON, once a second while the producer is polled.
    """
    stats = {"stats_cb": on_stats, "statistics.interval.ms": 1000} if on_stats else {}
    return Producer(_producing(settings, linger_ms) | _dotted(extra) | stats)


def transactional_producer(
    settings: KafkaSettings, transactional_id: str, *, linger_ms: int = 2, timeout_s: float = 120.0
) -> Producer:
    """Return a producer ready to begin transactions; whoever held the id before is fenced.

    Raises KafkaUnavailable when no broker answers within `timeout_s`.
    """
    config = _producing(settings, linger_ms) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": settings.transaction_timeout_ms,
        "delivery.timeout.ms": settings.transaction_timeout_ms,
        "retry.backoff.ms": TRANSACTION_RETRY_MS,
    }
    made = Producer(config)
    try:
        made.init_transactions(timeout_s)
    except KafkaException as error:
        raise unavailable(settings, error) from error
    return made


def _producing(settings: KafkaSettings, linger_ms: int) -> dict[str, Any]:
    return client_config(settings) | {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": linger_ms,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
        "topic.metadata.propagation.max.ms": 5_000,
    }


def consumer(
    settings: KafkaSettings,
    group: str,
    *,
    on_commit: Callable[[KafkaError | None, list[TopicPartition]], None] | None = None,
    **extra: Any,
) -> Consumer:
    """Return a consumer of a group; `extra` are librdkafka properties, dots as '_'.

    `on_commit` hears, within a poll, how commits ended that nobody waited for.
    """
    config = client_config(settings) | {
        "group.id": group,
        "isolation.level": settings.isolation,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "partition.assignment.strategy": "range",
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": max(250, settings.session_timeout_ms // 6),
        "fetch.wait.max.ms": settings.fetch_wait_ms,
        "fetch.queue.backoff.ms": 50,
        "fetch.error.backoff.ms": 100,
        "allow.auto.create.topics": False,
    }
    hearing = {"on_commit": on_commit} if on_commit else {}
    return Consumer(config | _dotted(extra) | hearing)


def reader(settings: KafkaSettings, **extra: Any) -> Consumer:
    """Return a consumer without a group, for partitions that are assigned by hand."""
    return consumer(settings, "weir-ungrouped", **extra)


def patient(settings: KafkaSettings, wait_ms: int, *, gathering: bool = False) -> dict[str, int]:
    """Return how a consumer fetches whose reader can wait so long, as `extra` of a consumer.

    One that is `gathering` waits even where there is something, for GATHERED_BYTES of company.
    """
    least = GATHERED_BYTES if gathering else 1
    return {
        "fetch_wait_max_ms": max(settings.fetch_wait_ms, wait_ms),
        "fetch_min_bytes": max(settings.fetch_bytes, least),
    }


def _dotted(extra: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("_", "."): value for key, value in extra.items()}


def admin(settings: KafkaSettings) -> AdminClient:
    """Return a client that creates and describes topics."""
    return AdminClient(client_config(settings))


def unavailable(settings: KafkaSettings, error: KafkaException) -> KafkaUnavailable:
    """Return the error that says which broker did not answer and what to do about it."""
    cause = error.args[0] if error.args else error
    text = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return KafkaUnavailable(
        f"Kafka at {settings.bootstrap}: {text}; start it (`weir up`) or set WEIR_KAFKA__BOOTSTRAP"
    )


def cluster_id(settings: KafkaSettings, timeout_s: float = ASK_S) -> str:
    """Return the configured cluster id, or else the broker's.

    Raises KafkaUnavailable.
    """
    if settings.cluster:
        return settings.cluster
    try:
        return str(admin(settings).list_topics(timeout=timeout_s).cluster_id)
    except KafkaException as error:
        raise unavailable(settings, error) from error


def partition_counts(
    settings: KafkaSettings, timeout_s: float = ASK_S, needed: Collection[str] = ()
) -> dict[str, int]:
    """Return the number of partitions of every topic; what is needed is waited for a while.

    Raises KafkaUnavailable.
    """
    return believed(partial(_listed, admin(settings), settings, timeout_s), needed)


def required(settings: KafkaSettings, needed: Collection[str]) -> dict[str, int]:
    """Return the number of partitions of every topic; raises KafkaUnavailable without those."""
    found = partition_counts(settings, needed=needed)
    if missing := needed - found.keys():
        raise no_topic(settings, missing)
    return found


def no_topic(settings: KafkaSettings, missing: Collection[str]) -> KafkaUnavailable:
    """Return the error that names topics that are not there, and says what makes them."""
    return KafkaUnavailable(
        f"Kafka at {settings.bootstrap} has no topic {', '.join(sorted(missing))}; "
        "create it with `weir topics create`"
    )


def _listed(
    client: AdminClient | Consumer, settings: KafkaSettings, timeout_s: float
) -> dict[str, int]:
    try:
        found = client.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise unavailable(settings, error) from error
    return {name: len(topic.partitions) for name, topic in found.items() if topic.partitions}


def create_topics(
    settings: KafkaSettings, topics: Iterable[Topic], timeout_s: float = 30.0
) -> list[str]:
    """Create the topics that do not exist and return their names, once a broker shows them.

    Raises KafkaUnavailable when no broker answers within 5 s, or one refuses, or is not done
    within `timeout_s`.
    """
    existing = partition_counts(settings)
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=settings.replication,
            config=topic.config(settings.replication),
        )
        for topic in topics
        if topic.name not in existing
    ]
    if not wanted:
        return []
    client = admin(settings)
    futures = client.create_topics(wanted, operation_timeout=timeout_s)
    for future in futures.values():
        _settle(settings, future, KafkaError.TOPIC_ALREADY_EXISTS, timeout_s)
    believed(partial(_listed, client, settings, timeout_s), list(futures))
    return list(futures)


def delete_topics(settings: KafkaSettings, names: Sequence[str], timeout_s: float = 30.0) -> None:
    """Delete topics; those that do not exist are none of our business.

    Raises KafkaUnavailable when the broker does not answer or refuses.
    """
    if not names:
        return
    client = admin(settings)
    futures = client.delete_topics(list(names), operation_timeout=timeout_s)
    for future in futures.values():
        _settle(settings, future, KafkaError.UNKNOWN_TOPIC_OR_PART, timeout_s)


def _settle(settings: KafkaSettings, future: Any, allowed: int, timeout_s: float) -> None:
    try:
        future.result(timeout_s)
    except KafkaException as error:
        if error.args[0].code() != allowed:
            raise unavailable(settings, error) from error


def check_alive(settings: KafkaSettings, message: Message) -> None:
    """Raise KafkaUnavailable when a polled error is one that waiting does not mend."""
    error = message.error()
    if error is not None and (error.fatal() or error.code() in _HOPELESS):
        raise unavailable(settings, KafkaException(error))


def is_eof(message: Message) -> bool:
    """Tell whether a polled message says that the end of its partition is reached."""
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001


def place_of(message: Message) -> tuple[str, int]:
    """Return the topic and partition of a message or partition-EOF event."""
    return str(message.topic()), int(message.partition() or 0)


def drain(client: ConsumerClient, most: int, wait_s: float, gather_s: float = 0.0) -> list[Message]:
    """Wait for a first message, then take what comes within `gather_s`, up to `most`.

    Unlike `Consumer.consume` it does not wait for a full batch. EOF events are included. Python
    collects no garbage meanwhile: for each 700 messages it would look for cycles among all that
    the process holds, which costs more than to read them.
    """
    first = client.poll(wait_s)
    if first is None or most == 1:
        return [] if first is None else [first]
    collecting = gc.isenabled()
    gc.disable()
    try:
        return [first, *client.consume(most - 1, gather_s)]
    finally:
        if collecting:
            gc.enable()


def assign_all(
    client: ConsumerClient, settings: KafkaSettings, topics: Sequence[str]
) -> set[tuple[str, int]]:
    """Assign every partition of the topics from the beginning, and return them.

    Offset 0 needs no question to the broker, unlike OFFSET_BEGINNING, which costs half a second;
    where the log begins later, auto.offset.reset leads there. Raises KafkaUnavailable when a
    topic does not exist.
    """
    places = places_of(client, settings, topics)
    client.assign([TopicPartition(*place, 0) for place in sorted(places)])
    return places


def places_of(
    client: ConsumerClient, settings: KafkaSettings, topics: Collection[str]
) -> set[tuple[str, int]]:
    """Return every partition of the topics, asked over a consumer's own connection.

    Raises KafkaUnavailable when a topic does not exist.
    """
    counts = believed(partial(_listed, client, settings, ASK_S), topics)
    if missing := set(topics) - counts.keys():
        raise no_topic(settings, missing)
    return {(name, p) for name in topics for p in range(counts[name])}


def assign_more(client: ConsumerClient, starts: Mapping[tuple[str, int], int]) -> None:
    """Assign further partitions to a consumer, each from the offset given."""
    client.incremental_assign([TopicPartition(*place, at) for place, at in starts.items()])


def read_again(client: ConsumerClient, starts: Mapping[tuple[str, int], int]) -> None:
    """Give a consumer these partitions and no others, each from the offset given."""
    client.assign([TopicPartition(*place, at) for place, at in starts.items()])


def places_seen(
    client: ConsumerClient, settings: KafkaSettings, timeout_s: float = ASK_S
) -> set[tuple[str, int]]:
    """Return every topic and partition there is, asked over a consumer's own connection.

    A consumer that has asked reads at once what it is then assigned; one that is not connected
    yet looks for the leaders a second later. Raises KafkaUnavailable.
    """
    counts = _listed(client, settings, timeout_s)
    return {(name, p) for name, count in counts.items() for p in range(count)}
