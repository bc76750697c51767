"""States made anew, when they cannot be carried over: from the log, or from nothing.

What the log tells is replayed without a sound under the present parameters, up to where the old
state stood: the host then goes on as if they had always been these. Processors that also decide by
what they saw of the catalogue cannot be replayed; they begin afresh where they stood.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.catalogue import Catalogue
from schemas.codec import Codec
from schemas.decisions import Snapshot
from schemas.processing import Partition, Rebuildable, Spec
from workers.catalogue import CatalogueReader
from workers.clock import wall_ms
from workers.errors import RecoveryRefused
from workers.hosting.homes import Homes
from workers.hosting.sizes import sized
from workers.hosting.state import Instance
from workers.kafka import clients as kafka
from workers.kafka import ends as kafka_ends
from workers.settings import Settings
from workers.snapshots import keeping as snapshots
from workers.snapshots.care import Mended, Saved, refuse_live, saved_of, write
from workers.snapshots.replaying import replay


@dataclass(frozen=True, slots=True)
class Terms:
    """How a state is made anew: from the log or from nothing, and whether losses are accepted."""

    replays: bool = True
    accept_loss: bool = False


@dataclass(frozen=True, slots=True)
class _Made:
    snapshot: Snapshot
    offsets: Mapping[Partition, int]
    messages: int
    losses: tuple[str, ...]


def rebuild(
    settings: Settings, codec: Codec, spec: Spec, groups: Sequence[str], terms: Terms
) -> list[Mended]:
    """Make every saved state of a processor anew under its present format and parameters.

    All of them or none. Raises RecoveryRefused, also for a loss that is not accepted,
    KafkaUnavailable, RegistryUnavailable.
    """
    committed = refuse_live(settings, groups)
    spec = sized(spec, kafka.partition_counts(settings.kafka, needed=spec.inputs))
    maker = _Maker(settings, codec, spec, terms)
    found = saved_of(settings, codec, spec)
    with CatalogueReader(settings.kafka, codec, spec.catalogue) as reader:
        made = [maker.make(saved, committed, reader.current()) for saved in found]
    losses = [loss for one in made for loss in one.losses]
    if losses and not terms.accept_loss:
        raise RecoveryRefused(f"{'; '.join(losses)}. --accept-loss goes on without it")
    offsets = {place: at for one in made for place, at in one.offsets.items()}
    pairs = [(saved, one.snapshot) for saved, one in zip(found, made, strict=True)]
    how = f"from {sum(one.messages for one in made)} messages" if terms.replays else "from nothing"
    return write(settings, codec, pairs, (groups[0], offsets), f"made anew {how}")


class _Maker:
    def __init__(self, settings: Settings, codec: Codec, spec: Spec, terms: Terms) -> None:
        self._settings = settings
        self._codec = codec
        self._spec = spec
        self._terms = terms
        self._cluster = kafka.cluster_id(settings.kafka)
        self._counts = kafka.partition_counts(settings.kafka, needed=spec.inputs)

    def make(self, saved: Saved, committed: Mapping[Partition, int], catalogue: Catalogue) -> _Made:
        """Return the new state of one instance."""
        old = saved.snapshot
        places = self._places(saved.partition)
        stood = snapshots.positions_of(old) if old is not None else committed
        positions = {place: stood.get(place, 0) for place in places}
        losses = self._unknown_position(saved)
        homes = Homes({} if self._spec.singleton else self._counts, self._spec.name)
        instance = Instance(self._spec, saved.partition, self._codec, self._cluster, homes)
        messages = 0
        if self._terms.replays:
            losses += self._forgotten(positions)
            messages = replay(instance, positions, self._settings.kafka, catalogue)
        else:
            instance.begin(None, positions)
            losses.append(
                f"{saved.key}: its state cannot be made from the log; it begins afresh where it "
                "stood, and what it had learned is gone"
            )
        made = instance.snapshot(old.taken_at if old else wall_ms())
        made = replace(made, seen=old.seen if old else b"")
        offsets = instance.offsets() if self._terms.replays else {}
        return _Made(made, offsets, messages, tuple(losses))

    def _places(self, partition: int) -> list[Partition]:
        if not self._spec.singleton:
            return [(topic, partition) for topic in self._spec.inputs]
        counts = self._counts
        return [(topic, n) for topic in self._spec.inputs for n in range(counts.get(topic, 0))]

    def _unknown_position(self, saved: Saved) -> list[str]:
        if saved.snapshot is not None:
            return []
        return [
            f"{saved.key} cannot be read ({saved.unreadable}), nor where it stood: what came after "
            "the committed offsets is applied again, and its outputs come twice"
        ]

    def _forgotten(self, positions: Mapping[Partition, int]) -> list[str]:
        """Return what the log no longer tells; open windows and joins are never so old."""
        if isinstance(self._spec.build(0), Rebuildable):
            return []
        ends = kafka_ends.ends(self._settings.kafka, [at for at, end in positions.items() if end])
        return [
            f"{topic}/{partition} begins at offset {end.first}: what {self._spec.name} had learned "
            "from older messages is gone"
            for (topic, partition), end in ends.items()
            if end.first > 0
        ]
