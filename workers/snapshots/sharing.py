"""States shared out anew after topics grew: what is known of a key goes along with it. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from schemas.codec import pack_state, unpack_state
from schemas.decisions import Snapshot
from schemas.partitioning import partition_of
from schemas.processing import Spec
from workers.errors import RecoveryRefused
from workers.hosting.sizes import partitions_of
from workers.snapshots import keeping as snapshots

SEEN_BYTES = 512 * 8
"""What a host remembers of events it has seen: 512 digests of eight bytes."""


def shared_out(spec: Spec, kept: Sequence[Snapshot]) -> list[Snapshot]:
    """Return the states of a processor for the partitions that its specification is for.

    `kept` are all its states, of one earlier count. One whose specification has no `share` keeps
    its own state in each partition, and begins afresh in the new ones. Raises RecoveryRefused when
    states of several counts are there, DecodeError for one that cannot be read.
    """
    before = {partitions_of(one.parameters, spec) for one in kept}
    if len(before) > 1:
        raise RecoveryRefused(
            f"{spec.name} has saved states for {' and '.join(map(str, sorted(before)))} partitions:"
            f" some were saved since its topics grew; `weir snapshots rebuild {spec.name}`"
        )
    if spec.share is None or spec.state is None:
        return [replace(one, parameters=spec.parameters) for one in kept]
    count = partitions_of(spec.parameters, spec)
    states: list[Any] = [unpack_state(one.state, spec.state) for one in kept]
    own = {one.partition: one for one in kept}
    home = partial(partition_of, partitions=count)
    made = []
    for partition in range(count):
        state = pack_state(spec.share(states, partition, home))
        made.append(_snapshot(spec, partition, own, state))
    return made


def _snapshot(spec: Spec, partition: int, own: dict[int, Snapshot], state: bytes) -> Snapshot:
    known = own.get(partition)
    if known is not None:
        return replace(known, parameters=spec.parameters, state=state)
    positions = {(topic, partition): 0 for topic in spec.inputs}
    newest = max(one.taken_at for one in own.values())
    fresh = snapshots.make(spec, partition, positions, state, newest)
    seen = b"".join(one.seen for _, one in sorted(own.items()))
    return replace(fresh, seen=seen[-SEEN_BYTES:])
