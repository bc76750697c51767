"""Which saved states are taken, and what is said of the others."""

from dataclasses import replace

import pytest

from schemas.decisions import Snapshot
from schemas.processing import Spec
from tests.examples import codec, example
from tests.hosts.samples import tally
from workers.errors import SnapshotRefused
from workers.snapshots import keeping as snapshots

KEPT = snapshots.make(tally(), 3, {("weir.observations", 3): 9}, b"state", 1_000)


def test_the_same_format_and_parameters_are_taken() -> None:
    snapshots.check(KEPT, tally())


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (replace(tally(), format=2), "it has format 1, these programs write format 2"),
        (tally(parameters="2"), r"it was taken under other parameters \(1; those in force are 2\)"),
    ],
)
def test_others_are_refused_with_what_mends_it(spec: Spec, why: str) -> None:
    with pytest.raises(SnapshotRefused, match=f"tally/3 is not taken: {why}") as told:
        snapshots.check(KEPT, spec)
    for command in ("migrate tally", "rebuild tally"):
        assert f"weir snapshots {command}" in str(told.value)


def test_what_is_no_snapshot_is_refused_too() -> None:
    good = codec().encode(replace(example(Snapshot), key="tally/0"))
    assert set(snapshots.decode_all({"tally/0": good}, codec())) == {"tally/0"}
    with pytest.raises(SnapshotRefused, match="tally/1"):
        snapshots.decode_all({"tally/0": good, "tally/1": b"\x07"}, codec())
