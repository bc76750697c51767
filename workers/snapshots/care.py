"""Saved states looked after by hand: seen, carried over to other parameters, made anew.

Nothing is changed while a member of the processor's groups lives: it would write over it. What is
written goes with offsets of the group in one transaction, which a broker refuses when somebody has
joined meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas import files
from schemas.codec import Codec, pack_state, unpack_state
from schemas.decisions import Snapshot
from schemas.errors import ContractError
from schemas.processing import Partition, Spec
from workers.errors import RecoveryRefused
from workers.hosting.output import encoded
from workers.hosting.sizes import marked, parameters_of, partitions_of, sized
from workers.kafka import clients as kafka
from workers.kafka import groups as kafka_groups
from workers.kafka import newest as kafka_newest
from workers.kafka.resending import Resender
from workers.settings import Settings
from workers.snapshots import keeping as snapshots
from workers.snapshots.sharing import shared_out

TRANSACTIONAL_ID = "weir-snapshots"


@dataclass(frozen=True, slots=True)
class Saved:
    """What stands under a key of weir.snapshots: `size` in bytes; why it cannot be read, if so."""

    key: str
    size: int
    snapshot: Snapshot | None
    unreadable: str = ""

    @property
    def processor(self) -> str:
        """Whose state it is."""
        return self.key.rpartition("/")[0]

    @property
    def partition(self) -> int:
        """Of which partition."""
        return int(self.key.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of one saved state, in words; its bytes before and after."""

    key: str
    told: str
    before: int
    after: int


def read_saved(
    settings: Settings,
    codec: Codec,
    specs: Iterable[Spec],
    timeout_s: float = 60.0,
    *,
    others: bool = False,
) -> list[Saved]:
    """Return the newest state per key of some processors, in the order of their keys.

    They are looked for from the end of the log, further back as long as one that may be there was
    not met. With `others` states of other processors are given too, as far as they stand in what
    was read: the living write theirs again and again. Raises KafkaUnavailable when Kafka does not
    answer for `timeout_s`, RegistryUnavailable.
    """
    counts = kafka.partition_counts(settings.kafka)
    wanted = [key.encode() for spec in specs for key in snapshots.keys_of(spec, counts)]
    found = kafka_newest.newest(settings.kafka, snapshots.TOPIC, wanted, timeout_s, others=others)
    values = {key.decode("utf-8", "replace"): one.value() for key, one in found.items()}
    saved = [
        _saved(key, value, codec)
        for key, value in values.items()
        if value is not None and _is_key(key)
    ]
    return sorted(saved, key=lambda one: (one.processor, one.partition))


def _is_key(key: str) -> bool:
    processor, _, partition = key.rpartition("/")
    return bool(processor) and partition.isdecimal()


def _saved(key: str, value: bytes, codec: Codec) -> Saved:
    try:
        return Saved(key, len(value), codec.decode(value, Snapshot))
    except ContractError as error:
        return Saved(key, len(value), None, str(error))


def carried(spec: Spec, snapshot: Snapshot) -> Snapshot:
    """Return a snapshot whose state the present format and parameters take. Pure.

    It still tells for how many partitions it was saved.

    Raises RecoveryRefused when its format cannot be read, or its state is bound to parameters.
    """
    same = parameters_of(snapshot.parameters) == parameters_of(spec.parameters)
    if not same and not spec.portable:
        raise RecoveryRefused(
            f"{snapshot.key}: a state of {spec.name} is bound to the parameters it grew under; "
            f"`weir snapshots rebuild {spec.name}` makes it anew from the log"
        )
    state = snapshot.state
    try:
        if snapshot.format != spec.format:
            state = _converted(spec, snapshot)
        fresh = spec.build(snapshot.partition)
        fresh.restore(state)
        state = fresh.snapshot()
    except ContractError as error:
        raise RecoveryRefused(
            f"{snapshot.key}: {error}; `weir snapshots rebuild {spec.name}` makes it anew"
        ) from error
    parameters = marked(spec.parameters, partitions_of(snapshot.parameters, spec), spec)
    return replace(snapshot, format=spec.format, parameters=parameters, state=state)


def _converted(spec: Spec, snapshot: Snapshot) -> bytes:
    if snapshot.format > spec.format:
        raise RecoveryRefused(
            f"{snapshot.key} has format {snapshot.format}, and these programs know {spec.format} "
            "at most: it was written by a newer version; run that one"
        )
    if spec.state is None:
        raise RecoveryRefused(f"{snapshot.key}: nothing tells what formats {spec.name} has had")
    writer = files.state_text(spec.state.__name__, snapshot.format)
    return pack_state(unpack_state(snapshot.state, spec.state, writer))


def refuse_live(settings: Settings, groups: Sequence[str]) -> Mapping[Partition, int]:
    """Return the offsets that the first of some groups has committed.

    Raises RecoveryRefused when one has members, KafkaUnavailable.
    """
    found = kafka_groups.groups(settings.kafka, groups)
    live = [group for group in found.values() if group.active]
    if live:
        names = ", ".join(group.name for group in live)
        raise RecoveryRefused(
            f"members of {names} are alive ({live[0].state.lower()}): stop every process of it; a "
            f"killed one is forgotten after {settings.kafka.session_timeout_ms / 1000:.0f} s"
        )
    return found[groups[0]].committed if groups[0] in found else {}


def migrate(settings: Settings, codec: Codec, spec: Spec, groups: Sequence[str]) -> list[Mended]:
    """Carry every saved state of a processor over to its present format and parameters.

    All of them or none. What fits already is left as it is. Raises RecoveryRefused,
    KafkaUnavailable, RegistryUnavailable.
    """
    committed = refuse_live(settings, groups)
    spec = sized(spec, kafka.partition_counts(settings.kafka, needed=spec.inputs))
    found = saved_of(settings, codec, spec)
    kept = [_readable(saved, spec) for saved in found]
    if all(snapshots.refusal(one, spec) is None for one in kept):
        return []
    made = [carried(spec, one) for one in kept]
    if any(one.parameters != spec.parameters for one in made):
        made = shared_out(spec, made)
    sizes = {saved.key: saved.size for saved in found}
    pairs = [(Saved(one.key, sizes.get(one.key, 0), one), one) for one in made]
    return write(settings, codec, pairs, (groups[0], committed), "carried over")


def _readable(saved: Saved, spec: Spec) -> Snapshot:
    if saved.snapshot is None:
        raise RecoveryRefused(
            f"{saved.key} cannot be read: {saved.unreadable}; `weir snapshots rebuild "
            f"{spec.name}` makes it anew"
        )
    return saved.snapshot


def saved_of(settings: Settings, codec: Codec, spec: Spec) -> list[Saved]:
    """Return the saved states of a processor.

    Raises RecoveryRefused when there are none, KafkaUnavailable, RegistryUnavailable.
    """
    found = read_saved(settings, codec, [spec])
    if not found:
        raise RecoveryRefused(f"no state of {spec.name} is saved; see `weir snapshots list`")
    return found


def write(
    settings: Settings,
    codec: Codec,
    made: Sequence[tuple[Saved, Snapshot]],
    committed: tuple[str, Mapping[Partition, int]],
    told: str,
) -> list[Mended]:
    """Write new states, and the offsets of a group, in one transaction.

    Raises RecoveryRefused, KafkaUnavailable.
    """
    records = encoded([snapshot for _, snapshot in made], codec)
    if records:
        with Resender(settings.kafka, TRANSACTIONAL_ID) as resender:
            resender.commit(records, *committed)
    return [
        Mended(saved.key, told, saved.size, len(record.value))
        for (saved, _), record in zip(made, records, strict=True)
    ]
