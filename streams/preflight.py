"""What a Faust app looks at before it starts: Faust tells errors late, and in many words."""

from streams import topology
from workers.hosting.sizes import sized
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import Settings
from workers.snapshots import keeping as snapshots
from workers.snapshots.care import read_saved


def check_saved(settings: Settings, module: str) -> None:
    """Check that an app, named by its module, can take up every state that was saved of it.

    Raises SnapshotRefused, KafkaUnavailable, RegistryUnavailable.
    """
    hosted = [
        name
        for name, place in topology.PROCESSORS.items()
        if place.host is topology.Host.FAUST
        and module in (topology.APPS[name], topology.APPS["control"])
    ]
    if not hosted:
        return
    specs = {name: topology.spec_named(name) for name in hosted}
    needed = {topic for spec in specs.values() for topic in spec.inputs}
    counts = kafka.partition_counts(settings.kafka, needed=needed)
    registry = Registry(settings.registry)
    try:
        saved = read_saved(settings, registry.codec(), specs.values())
    finally:
        registry.close()
    for one in saved:
        if one.snapshot is None:
            raise snapshots.refused(one.key, one.unreadable)
        snapshots.check(one.snapshot, sized(specs[one.processor], counts))
