"""The newest message of a key is found wherever it stands, whatever the pieces."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from workers.kafka.newest import GROWTH, PIECE, newest_in, spans

KEYS = tuple(b"%d" % number for number in range(6))


@dataclass(frozen=True, slots=True)
class One:
    """A message; `name` is None where it has no key."""

    name: bytes | None
    offset: int

    def key(self) -> bytes | None:
        return self.name


def popped(pieces: list[list[One]]) -> Iterator[list[One]]:
    """Yield the last piece first; what is left was not asked for."""
    while pieces:
        yield pieces.pop()


@given(
    st.lists(st.none() | st.sampled_from(KEYS), max_size=40),
    st.lists(st.integers(0, 40), max_size=6),
    st.sets(st.sampled_from(KEYS)),
)
def test_what_is_found_is_the_newest_of_each_key(
    names: list[bytes | None], cuts: list[int], keys: set[bytes]
) -> None:
    log = [One(name, offset) for offset, name in enumerate(names)]
    edges = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    pieces = [log[first:end] for first, end in pairwise(edges)]
    wanted = {one.name: one for one in log if one.name in keys}
    left = list(pieces)
    assert newest_in(popped(left), keys) == wanted
    read = [one for piece in pieces[len(left) :] for one in piece]
    met = {one.name: one for one in read if one.name is not None}
    left = list(pieces)
    assert newest_in(popped(left), keys, others=True) == met | wanted
    assert [one for piece in pieces[len(left) :] for one in piece] == read


def test_no_piece_is_asked_for_once_all_are_found() -> None:
    pieces = iter([[One(b"1", 4), One(b"1", 5)], [One(b"0", 2)], [One(b"0", 1)]])
    assert newest_in(pieces, {b"0", b"1"}) == {b"0": One(b"0", 2), b"1": One(b"1", 5)}
    assert next(pieces) == [One(b"0", 1)]
    assert newest_in(pieces, set()) == {}


@given(st.integers(0, 10_000_000))
def test_the_pieces_leave_no_offset_out_and_are_few(end: int) -> None:
    found = list(spans(end))
    edges = [end, *(first for first, _ in found)]
    assert [last for _, last in found] == edges[:-1]
    assert edges[-1] == 0
    assert sum(last - first for first, last in found) == end
    assert len(found) <= 1 + end // (PIECE * GROWTH)
    assert len(found) <= 8
