"""The topics of a cluster as `topics.table` compares them."""

from streams.topics.table import Found
from workers.kafka import cluster as kafka_cluster
from workers.kafka.cluster import Cluster
from workers.settings import KafkaSettings

PREFIX = "weir."


def state(settings: KafkaSettings, cluster: Cluster | None = None) -> dict[str, Found]:
    """Return Weir's topics as the cluster has them; `cluster` spares asking again.

    Raises KafkaUnavailable.
    """
    cluster = cluster or kafka_cluster.look(settings)
    names = sorted(name for name in cluster.topics if name.startswith(PREFIX))
    configs = kafka_cluster.topic_settings(settings, names)
    return {
        name: Found(
            partitions=len(cluster.topics[name]),
            replication=min(len(p.replicas) for p in cluster.topics[name].values()),
            config={key: setting.value for key, setting in configs.get(name, {}).items()},
        )
        for name in names
        if cluster.topics[name]
    }
