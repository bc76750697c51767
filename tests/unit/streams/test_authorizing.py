"""What a more careful mode leaves in force."""

from types import SimpleNamespace
from typing import Any

import pytest

from placement.authority import Limits, ruling
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.registrations import PolicySelected
from streams.authorizing import approval, staying
from streams.commands.placement import _choose
from tests.unit.placement import world
from tests.unit.placement.world import T0

ACT = world.policy("installation", "act")
FIRST, SECOND, THIRD = (world.decided("s", [node], number) for number, node in enumerate("abc", 1))
LET = approval(FIRST, "alice", T0)


def known(*more: Event) -> Catalogue:
    return world.catalogue_of([world.service("s"), *more])


def test_what_was_done_in_act_stays_although_something_older_was_let_happen_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sent: list[Any] = []
    entries: Any = SimpleNamespace(
        settings=SimpleNamespace(identity=SimpleNamespace(user="bob")), send=sent.extend
    )
    before = known(ACT, LET, SECOND)
    _choose(entries, before, "recommend", "", as_json=True)
    assert "recommend" in capsys.readouterr().out
    policies = [event for event in sent if isinstance(event, PolicySelected)]
    after = world.catalogue_of([*policies, THIRD], before)
    assert ruling(THIRD, after, Limits()).decided == SECOND


@pytest.mark.parametrize(
    "events",
    [(ACT, SECOND), (LET, SECOND), (ACT, LET, FIRST), (ACT, approval(SECOND, "alice", T0), SECOND)],
    ids=["nothing was let happen", "the older is in force", "it is the same", "it is approved"],
)
def test_nothing_is_approved_that_needs_no_word(events: tuple[Event, ...]) -> None:
    assert staying(known(*events), "", "bob", T0) == []


def test_other_applications_keep_theirs() -> None:
    acting = known(ACT, LET, SECOND)
    assert [len(staying(acting, app, "bob", T0)) for app in ("digits", "other")] == [1, 0]
