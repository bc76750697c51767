"""Faust's way to Kafka, made to fit: committed reads, and partitions that belong together.

Faust reads what transactions have not committed unless it runs in its exactly-once mode, and
without tables it deals partitions out in turn, so that partition 0 of two inputs may come to
different workers. Both are settled here, where it makes its consumers.
"""

import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import cast

import aiokafka  # type: ignore[import-untyped]  # has no hints
import faust
from aiokafka.cluster import ClusterMetadata  # type: ignore[import-untyped]  # has no hints
from aiokafka.coordinator.assignors.abstract import (  # type: ignore[import-untyped]  # has no hints
    AbstractPartitionAssignor,
)
from aiokafka.coordinator.protocol import (  # type: ignore[import-untyped]  # has no hints
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.auth import CredentialsT

from workers.settings import KafkaSettings

Starts = Callable[[], Awaitable[Mapping[TP, int]]]
FETCH_WAIT_MS = 40
"""Longest wait of a fetch for more data, as that of batch hosts: the embedded broker answers at its
end, also when there is some. Faust's own 1,500 ms would delay its shutdown, too."""


def spread(
    partitions: Mapping[str, int], members: Mapping[str, Sequence[str]], whole: frozenset[str]
) -> dict[str, dict[str, list[int]]]:
    """Deal partitions out to members: topic -> partitions per member.

    `partitions` counts those of each topic, `members` says who reads which topics. Each topic is
    cut into runs over its readers in the order of their names, the first of them the longer ones,
    so that topics with equal counts and readers are cut alike. Topics in `whole` go to their first
    reader alone. Source: Kafka's RangeAssignor.
    """
    dealt: dict[str, dict[str, list[int]]] = {member: {} for member in members}
    for topic, count in partitions.items():
        readers = sorted(member for member, topics in members.items() if topic in topics)
        if topic in whole:
            readers = readers[:1]
        for place, member in enumerate(readers):
            size, longer = divmod(count, len(readers))
            first = size * place + min(place, longer)
            dealt[member][topic] = list(range(first, first + size + (place < longer)))
    return dealt


class CopartitionedAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # untyped base
    """Gives partition p of every input to the same worker; see `spread`."""

    name = "weir-range"
    version = 0

    def __init__(self, whole: frozenset[str]) -> None:
        self._whole = whole

    def assign(
        self,
        cluster: ClusterMetadata,
        members: Mapping[str, ConsumerProtocolMemberMetadata],
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Return what each member of the group gets."""
        topics = {topic for metadata in members.values() for topic in metadata.subscription}
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        readers = {member: metadata.subscription for member, metadata in members.items()}
        return {
            member: ConsumerProtocolMemberAssignment(self.version, sorted(topics.items()), b"")
            for member, topics in spread(counts, readers, self._whole).items()
        }

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return what this member tells the group about itself."""
        return ConsumerProtocolMemberMetadata(self.version, sorted(topics), b"")

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Take note of nothing: the host hears of its partitions from Faust."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with a consumer that reads what the settings say."""

    logger = logging.getLogger("faust.committed")

    def _create_worker_consumer(self, transport: "driver.Transport") -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = CopartitionedAssignor(getattr(transport, "whole", frozenset()))
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level=cast(Transport, transport).isolation,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )


async def _nowhere() -> Mapping[TP, int]:
    return {}


class CommittedConsumer(driver.Consumer):
    """Faust's consumer on that thread; after each rebalance it reads on from where state stands."""

    logger = logging.getLogger("faust.committed")

    async def perform_seek(self) -> None:
        """Seek to what is committed, or to where restored state needs to read on, if lower.

        A worker that lost its partitions without noticing may have kept older state over newer:
        what others committed since then must be applied to it again. And aiokafka seeks nowhere
        where nothing is committed, though records of the partition were fetched and thrown away.
        """
        await super().perform_seek()
        starts = await cast(Transport, self.transport).starts()
        for place in self.assignment():
            committed = self._committed_offset.get(place) or 0
            start = starts.get(place, committed)
            if start < committed or not committed:
                await self.seek(place, start)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):
    """Faust's Kafka transport; `whole` names the topics that one worker reads alone.

    `isolation` is which records are read, as in Kafka's own settings.

    `starts` is awaited after each rebalance: once state is restored it returns the next offset of
    each partition that has any.
    """

    Consumer = CommittedConsumer
    starts: "Starts" = staticmethod(_nowhere)

    def __init__(self, app: faust.App, whole: frozenset[str], isolation: str) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.whole = whole
        self.isolation = isolation


def broker(kafka: KafkaSettings) -> str:
    """Return the servers as Faust writes them: kafka://host:port;host:port."""
    servers = [server.strip() for server in kafka.bootstrap.split(",")]
    return ";".join(f"kafka://{server}" for server in servers)


def credentials(kafka: KafkaSettings) -> CredentialsT | None:
    """Return how to log in; None for plain connections."""
    context = _tls(kafka) if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=kafka.sasl_mechanism,
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value(),
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


def _tls(kafka: KafkaSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=kafka.ssl_ca or None)
    if kafka.ssl_certificate:
        context.load_cert_chain(kafka.ssl_certificate, kafka.ssl_key or None)
    return context
