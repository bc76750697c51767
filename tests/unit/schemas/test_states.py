"""States that processors save: every format of them stays readable."""

import json
from dataclasses import dataclass

import pytest

from schemas import files, introspect
from schemas.codec import pack_state, unpack_state
from schemas.errors import DecodeError, UnknownContract
from streams.topology import PROCESSORS, spec_named

SNAPSHOTTED = [name for name in PROCESSORS if spec_named(name).transactional]


@pytest.mark.parametrize("name", SNAPSHOTTED)
def test_a_state_that_changes_is_a_new_format(name: str) -> None:
    spec = spec_named(name)
    assert spec.state is not None, "say in its Spec which dataclass its snapshots hold"
    described = json.loads(files.state_text(spec.state.__name__, spec.format))
    assert introspect.avro_of(spec.state, namespace="weir.state") == described, (
        "raise the format in its Spec, then run `.venv/bin/python -m tests.golden.write`"
    )


@pytest.mark.parametrize("name", SNAPSHOTTED)
def test_the_state_that_is_named_is_the_one_that_is_written(name: str) -> None:
    spec = spec_named(name)
    assert spec.state is not None
    fresh = spec.build(0).snapshot()
    assert pack_state(unpack_state(fresh, spec.state)) == fresh


@dataclass(frozen=True)
class Then:
    """An old format: a counter and what is not kept any more."""

    count: int
    gone: str


@dataclass(frozen=True)
class Now:
    """The new format of it."""

    count: int
    since: int = -1


def schema_of(state: type, name: str) -> str:
    """Return a state's schema under another name."""
    return json.dumps(introspect.avro_of(state, namespace="weir.state") | {"name": name})


def test_an_old_format_is_read_with_its_own_schema() -> None:
    old = pack_state(Then(7, "x"))
    assert unpack_state(old, Now, schema_of(Then, "Now")) == Now(7, -1)


def test_what_no_default_fills_is_refused() -> None:
    with pytest.raises(DecodeError):
        unpack_state(pack_state(Now(7)), Then, schema_of(Now, "Then"))


def test_a_format_that_nobody_described_is_refused() -> None:
    with pytest.raises(UnknownContract, match="no format 9 of ObserveState"):
        files.state_text("ObserveState", 9)
