"""Ids are the same everywhere and differ for different derivations."""

from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.identity import stable_id

PARTS = st.lists(st.text(max_size=5), max_size=4)


def test_an_id_is_fixed_for_ever() -> None:
    assert stable_id("observe", "app", 1) == "530ac1b969ded4141ad9dfe32658645f"


@given(one=PARTS, other=PARTS)
def test_different_parts_give_different_ids(one: list[str], other: list[str]) -> None:
    assume(one != other)
    assert stable_id(*one) != stable_id(*other)


@given(parts=PARTS)
def test_an_id_is_32_hexadecimal_digits(parts: list[str]) -> None:
    identity = stable_id(*parts)
    assert len(identity) == 32
    assert int(identity, 16) >= 0
