"""Who runs the new version: where it is, one after another, never fewer serving than promised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.cluster.needs import Demand, Need, Option
from placement.control.sharing import Share, share_in_force
from placement.rollout.verdict import copies_of_new
from schemas.decisions import Assignment
from tests.unit.placement import world
from tests.unit.placement.scaling_cases import policy

NEED = Need(cpu_milli=100, memory_mib=64)


def demand(least: int = 0, variants: str = "12") -> Demand:
    options = tuple(Option(f"v{number}", NEED) for number in variants)
    return Demand(service="s", options=options, min_available=least)


def runs(variants: str) -> tuple[Assignment, ...]:
    return tuple(
        Assignment(node=n, instance=f"s.{n}", variant=f"v{v}", cpu_milli=100, memory_mib=64)
        for n, v in zip("abcdef", variants, strict=False)
    )


def after(variants: str, share: float, least: int = 0, serving: str = "abcdef") -> tuple[str, bool]:
    made, waits = Share("v2", share).split(
        runs(variants), demand(least), {f"s.{node}" for node in serving}
    )
    assert [one.node for one in made] == list("abcdef"[: len(variants)])
    return "".join(one.variant[1] for one in made), waits


@pytest.mark.parametrize(
    ("before", "share", "made"),
    [
        ("1111", 0.0, "1111"),
        ("1111", 0.1, "2111"),
        ("1111", 0.5, "2211"),
        ("1112", 0.5, "2112"),
        ("1112", 0.1, "1112"),
        ("2112", 0.0, "1111"),
        ("2112", 1.0, "2222"),
        ("", 0.5, ""),
        ("1", 0.5, "1"),
    ],
)
def test_copies_change_where_they_are_and_no_more_than_must(
    before: str, share: float, made: str
) -> None:
    assert after(before, share) == (made, False)


def test_so_many_change_at_once_that_enough_go_on_serving() -> None:
    assert after("1111", 1.0, least=3) == ("2111", True)
    assert after("2111", 1.0, least=3, serving="bcd") == ("2111", True)
    assert after("2111", 1.0, least=3) == ("2211", True)
    assert after("1111", 1.0, least=4) == ("1111", True)
    assert after("1111", 1.0, least=3, serving="abc") == ("1112", True)


@given(
    st.text("12", max_size=6),
    st.floats(0, 1),
    st.integers(0, 6),
    st.sets(st.sampled_from("abcdef")),
)
def test_it_comes_to_the_share_in_the_end_and_never_below_what_is_promised(
    before: str, share: float, least: int, serving: set[str]
) -> None:
    made, waits = after(before, share, least, "".join(serving))

    there = set("abcdef"[: len(before)])
    changed = {n for n, old, new in zip("abcdef", before, made, strict=False) if old != new}
    if changed & serving and least:
        assert len((there - changed) & serving) >= least
    assert waits or made.count("2") == copies_of_new(len(before), share)


def test_a_new_copy_comes_as_the_old_version_until_the_new_one_has_all() -> None:
    assert [o.variant for o in Share("v2", 0.5).fresh(demand())] == ["v1"]
    assert [o.variant for o in Share("v2", 1.0).fresh(demand())] == ["v2"]
    assert [o.variant for o in Share("v9", 1.0).fresh(demand())] == ["v1", "v2"]
    assert [o.variant for o in Share("v2", 0.0).fresh(demand(variants="2"))] == ["v2"]


def test_a_version_that_is_no_more_changes_nothing() -> None:
    assert Share("v9", 1.0).split(runs("11"), demand(), ()) == (runs("11"), False)
    assert Share("v2", 0.0).split(runs("22"), demand(variants="2"), ()) == (runs("22"), False)


@pytest.mark.parametrize("share", ["", "much", "nan", "-1", "2"])
def test_a_share_that_is_none_is_not_in_force(share: str) -> None:
    wrong = policy("share/s", variant="v2", share=share)

    assert share_in_force("s", world.catalogue_of([wrong])) is None


def test_the_share_in_force_is_that_of_the_policy() -> None:
    catalogue = world.catalogue_of([policy("share/s", variant="v2", share="0.25")])

    assert share_in_force("s", catalogue) == Share("v2", 0.25)
    assert share_in_force("t", catalogue) is None
