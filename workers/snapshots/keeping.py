"""Snapshots of processors on their compacted topic: read the newest, judge, write."""

from collections.abc import Collection, Mapping

from schemas.codec import Codec
from schemas.decisions import Position, Snapshot
from schemas.errors import ContractError
from schemas.processing import Partition, Spec
from workers.errors import SnapshotRefused
from workers.hosting.sizes import parameters_of, partitions_of
from workers.kafka import newest as kafka_newest
from workers.settings import KafkaSettings

TOPIC = "weir.snapshots"


def key_of(processor: str, partition: int) -> str:
    """Return the key under which the state of one instance of a processor stands."""
    return f"{processor}/{partition}"


def keys_of(spec: Spec, counts: Mapping[str, int]) -> list[str]:
    """Return the keys under which a processor's states stand, with so many partitions a topic."""
    if not spec.transactional:
        return []
    count = 1 if spec.singleton else max(counts.get(topic, 0) for topic in spec.inputs)
    return [key_of(spec.name, partition) for partition in range(count)]


def make(
    spec: Spec, partition: int, positions: Mapping[Partition, int], state: bytes, now_ms: int
) -> Snapshot:
    """Return the event that holds an instance's state; `positions` are the next offsets."""
    return Snapshot(
        key=key_of(spec.name, partition),
        processor=spec.name,
        partition=partition,
        format=spec.format,
        parameters=spec.parameters,
        positions=tuple(
            Position(topic=topic, partition=number, next_offset=following)
            for (topic, number), following in sorted(positions.items())
        ),
        state=state,
        taken_at=now_ms,
    )


def positions_of(snapshot: Snapshot) -> dict[Partition, int]:
    """Return the next offset to apply per input partition."""
    return {(p.topic, p.partition): p.next_offset for p in snapshot.positions}


def refusal(snapshot: Snapshot, spec: Spec) -> str | None:
    """Return why the state of a snapshot is not for this specification; None when it is."""
    if snapshot.format != spec.format:
        return f"it has format {snapshot.format}, these programs write format {spec.format}"
    if snapshot.parameters == spec.parameters:
        return None
    if parameters_of(snapshot.parameters) == parameters_of(spec.parameters):
        then, now = (partitions_of(each.parameters, spec) for each in (snapshot, spec))
        return f"it was saved when its topics had {then} partitions, now they have {now}"
    return (
        f"it was taken under other parameters ({snapshot.parameters[:12]}; those in force are "
        f"{spec.parameters[:12]})"
    )


def refused(key: str, reason: str) -> SnapshotRefused:
    """Return the error that ends a host whose saved state does not fit, and what mends it."""
    name = key.rpartition("/")[0]
    return SnapshotRefused(
        f"the saved state of {key} is not taken: {reason}; stop every process of {name}, then "
        f"`weir snapshots migrate {name}` carries the state over, or `weir snapshots rebuild "
        f"{name}` makes it anew; starting again does not help"
    )


def check(snapshot: Snapshot, spec: Spec) -> None:
    """Raise SnapshotRefused when the state of a snapshot is not for this specification."""
    why = refusal(snapshot, spec)
    if why is not None:
        raise refused(snapshot.key, why)


def read_latest(
    settings: KafkaSettings, codec: Codec, keys: Collection[str], timeout_s: float = 60.0
) -> dict[str, Snapshot]:
    """Return the newest snapshot per key ("processor/partition"), looked for from the end.

    Raises SnapshotRefused for one that cannot be decoded, KafkaUnavailable, RegistryUnavailable.
    """
    wanted = [key.encode() for key in keys]
    found = kafka_newest.newest(settings, TOPIC, wanted, timeout_s)
    values = {key.decode(): message.value() for key, message in found.items()}
    return decode_all({key: value for key, value in values.items() if value is not None}, codec)


def decode_all(values: Mapping[str, bytes], codec: Codec) -> dict[str, Snapshot]:
    """Return the snapshots in framed values by key.

    Raises SnapshotRefused for one that cannot be decoded.
    """
    found: dict[str, Snapshot] = {}
    for key, value in values.items():
        try:
            found[key] = codec.decode(value, Snapshot)
        except ContractError as error:
            raise refused(key, str(error)) from error
    return found
