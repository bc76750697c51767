"""Snapshots of processors on their compacted topic: read the newest, judge, write."""

from collections.abc import Collection, Mapping

from schemas.codec import Codec
from schemas.decisions import Position, Snapshot
from schemas.errors import ContractError
from schemas.processing import Partition, Spec
from workers import kafka_reading
from workers.settings import KafkaSettings
from workers.telemetry import logger

TOPIC = "weir.snapshots"

log = logger(__name__)


def key_of(processor: str, partition: int) -> str:
    """Return the key under which the state of one instance of a processor stands."""
    return f"{processor}/{partition}"


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
        return f"it has format {snapshot.format}, this is format {spec.format}"
    if snapshot.parameters != spec.parameters:
        return "it was taken under other parameters"
    return None


def log_refusal(key: str, reason: str) -> None:
    """Say in the log that a snapshot is not restored, so that its instance starts fresh."""
    log.warning("snapshot.refused", key=key, reason=reason)


def usable(snapshot: Snapshot, spec: Spec) -> bool:
    """Tell whether a snapshot may be restored, and say in the log why not."""
    why = refusal(snapshot, spec)
    if why is not None:
        log_refusal(snapshot.key, why)
    return why is None


def read_latest(
    settings: KafkaSettings, codec: Codec, keys: Collection[str], timeout_s: float = 60.0
) -> dict[str, Snapshot]:
    """Return the newest snapshot per key ("processor/partition"); the topic is read to its end.

    A snapshot that cannot be decoded counts as none and is named in the log. Raises
    KafkaUnavailable or RegistryUnavailable.
    """
    wanted = {key.encode(): key for key in keys}
    newest: dict[str, bytes] = {}
    for message in kafka_reading.read_all(settings, [TOPIC], timeout_s):
        key = wanted.get(message.key() or b"")
        if key is None:
            continue
        value = message.value()
        if value is None:
            newest.pop(key, None)
        else:
            newest[key] = value
    return decode_all(newest, codec)


def decode_all(values: Mapping[str, bytes], codec: Codec) -> dict[str, Snapshot]:
    """Return the snapshots in framed values by key; those that cannot be decoded are left out."""
    found: dict[str, Snapshot] = {}
    for key, value in values.items():
        try:
            found[key] = codec.decode(value, Snapshot)
        except ContractError as error:
            log_refusal(key, str(error))
    return found
