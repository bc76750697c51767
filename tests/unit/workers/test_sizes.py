"""What becomes of specifications and states when topics have more partitions than the table."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from schemas.codec import pack_state, unpack_state
from schemas.decisions import Snapshot
from schemas.partitioning import partition_of
from schemas.processing import Spec
from schemas.topics import PARTITIONS
from streams.topology import PROCESSORS, spec_named
from tests.examples import example
from tests.hosts.samples import tally
from workers.errors import HostStopped, RecoveryRefused, SnapshotRefused
from workers.hosting.sizes import sized
from workers.snapshots import keeping as snapshots
from workers.snapshots.sharing import shared_out

SHARING = [name for name in PROCESSORS if spec_named(name).share is not None]
NAMES = [f"app {n}" for n in range(40)]
LISTS = {
    "drift": "series",
    "explain": "services",
    "anomaly": "series",
    "quality": "series",
    "contract": "standings",
    "select": "apps",
    "remedy": "rests",
    "diagnose": "apps",
    "scale": "apps",
    "canary": "rollouts",
}


def grown(spec: Spec, count: int = 8) -> Spec:
    """Return a specification for inputs of so many partitions."""
    return sized(spec, dict.fromkeys(spec.inputs, count))


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_tables_partitions_change_nothing(name: str) -> None:
    spec = spec_named(name)
    assert grown(spec, PARTITIONS).parameters == spec.parameters
    assert sized(spec, {}).parameters == spec.parameters


def test_states_of_another_count_are_refused_until_they_are_shared_out() -> None:
    kept = snapshots.make(tally(), 0, {}, b"", 0)
    with pytest.raises(SnapshotRefused, match=r"had 4 partitions, now they have 8.*migrate tally"):
        snapshots.check(kept, grown(tally()))
    snapshots.check(replace(kept, parameters=grown(tally()).parameters), grown(tally()))


def test_joined_topics_must_have_equal_counts() -> None:
    counts: Mapping[str, int] = {"weir.results": 8, "weir.responses": 8, "weir.labels": 4}
    with pytest.raises(HostStopped, match=r"weir\.labels has 4: `weir topics grow weir\.results"):
        sized(spec_named("derive"), counts)


def test_singletons_own_all_partitions_and_keep_their_state() -> None:
    spec = spec_named("place")
    assert sized(spec, {"weir.control": 3}) is spec


def state_of(spec: Spec, partition: int) -> Any:
    """Return a state that knows the names whose keys belong into one of four partitions."""
    assert spec.state is not None
    empty: Any = unpack_state(spec.build(partition).snapshot(), spec.state)
    field = LISTS[spec.name]
    item = element(spec, field)
    mine = [name for name in NAMES if partition_of(key(spec, item, name), 4) == partition]
    return replace(empty, **{field: tuple(named(item, name) for name in mine)})


def element(spec: Spec, field: str) -> Any:
    """Return an example of what a list of the state holds."""
    (hint,) = {f.type for f in spec.state.__dataclass_fields__.values() if f.name == field}  # type: ignore[union-attr]  # a dataclass
    return example(hint.__args__[0])


def named(item: Any, name: str) -> Any:
    """Return an element that is about an app."""
    if hasattr(item, "key"):
        return replace(item, key=(name, *item.key[1:]))
    return replace(item, app=name)


def key(spec: Spec, item: Any, name: str) -> str:
    """Return the message key of what is about an app."""
    return "/".join(named(item, name).key) if spec.name == "drift" else name


def names_in(spec: Spec, snapshot: Snapshot) -> list[str]:
    """Return which apps a saved state knows."""
    assert spec.state is not None
    items = getattr(unpack_state(snapshot.state, spec.state), LISTS[spec.name])
    return [item.key[0] if hasattr(item, "key") else item.app for item in items]


@pytest.mark.parametrize("name", SHARING)
def test_what_is_known_of_a_key_goes_where_the_key_goes(name: str) -> None:
    spec = spec_named(name)
    kept = [
        snapshots.make(spec, n, {(t, n): 7 for t in spec.inputs}, pack_state(state_of(spec, n)), n)
        for n in range(4)
    ]
    made = shared_out(grown(spec), kept)
    item = element(spec, LISTS[name])
    assert Counter(a for one in made for a in names_in(spec, one)) == Counter(NAMES)
    for one in made:
        assert {partition_of(key(spec, item, a), 8) for a in names_in(spec, one)} <= {one.partition}
        snapshots.check(one, grown(spec))
    offsets = {one.partition: {p.next_offset for p in one.positions} for one in made}
    assert offsets == {n: {7} if n < 4 else {0} for n in range(8)}


def test_what_shares_nothing_keeps_its_own() -> None:
    spec = spec_named("observe")
    kept = [snapshots.make(spec, 2, {("weir.metrics", 2): 9}, spec.build(2).snapshot(), 5)]
    assert shared_out(grown(spec), kept) == [replace(kept[0], parameters=grown(spec).parameters)]


def test_states_of_several_counts_are_not_mixed() -> None:
    spec = spec_named("quality")
    old = snapshots.make(spec, 0, {}, spec.build(0).snapshot(), 0)
    new = replace(snapshots.make(spec, 7, {}, old.state, 0), parameters=grown(spec).parameters)
    with pytest.raises(RecoveryRefused, match="for 4 and 8 partitions"):
        shared_out(grown(spec, 16), [old, new])
