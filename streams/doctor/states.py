"""The newest state of every processor on weir.snapshots, as it stands."""

from contextlib import closing

from schemas.decisions import Snapshot
from schemas.errors import ContractError
from streams.doctor.installation import Site
from workers.kafka import reading as kafka_reading
from workers.registry import Registry
from workers.snapshots import keeping as snapshots

READ_S = 20.0


def newest(site: Site) -> dict[str, Snapshot | str]:
    """Return the newest snapshot per key, or why it cannot be decoded; none without the topic.

    Raises KafkaUnavailable, RegistryUnavailable.
    """
    if snapshots.TOPIC not in site.cluster().topics:
        return {}
    values: dict[str, bytes] = {}
    for message in kafka_reading.read_all(site.settings.kafka, [snapshots.TOPIC], READ_S):
        key = (message.key() or b"").decode("utf-8", "replace")
        value = message.value()
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
    with closing(Registry(site.settings.registry)) as registry:
        codec = registry.codec()
        found: dict[str, Snapshot | str] = {}
        for key, value in values.items():
            try:
                found[key] = codec.decode(value, Snapshot)
            except ContractError as error:
                found[key] = str(error)
    return found
