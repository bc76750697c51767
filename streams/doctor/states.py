"""The newest state of every processor on weir.snapshots, as it stands."""

from contextlib import closing

from schemas.decisions import Snapshot
from streams.doctor.installation import Site
from workers.registry import Registry
from workers.snapshots import keeping as snapshots
from workers.snapshots.care import read_saved

READ_S = 20.0


def newest(site: Site) -> dict[str, Snapshot | str]:
    """Return the newest snapshot per key, or why it cannot be decoded; none without the topic.

    Those of processors that this version does not have are there if they were written lately.
    Raises KafkaUnavailable, RegistryUnavailable.
    """
    if snapshots.TOPIC not in site.cluster().topics:
        return {}
    with closing(Registry(site.settings.registry)) as registry:
        saved = read_saved(
            site.settings, registry.codec(), site.specs().values(), READ_S, others=True
        )
    return {one.key: one.snapshot or one.unreadable for one in saved}
