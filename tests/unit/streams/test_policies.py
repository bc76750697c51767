"""Policies for placement as commands make them, and what they refuse."""

import pytest

from placement.policies import settings_of
from placement.rollout.verdict import CanaryPolicy
from placement.scaling.sizing import ScalePolicy
from schemas.registrations import PolicySelected
from streams.errors import RegistrationError
from streams.policies import canary_policy, place_policy

NOW = 1_700_000_000_000


def told(policy: PolicySelected) -> dict[str, str]:
    return {p.key: p.value for p in policy.parameters}


def test_a_policy_keeps_what_is_not_named() -> None:
    first = place_policy("place", None, "fgd", {"queue": "age", "scale.up_ms": "9"}, (), NOW)
    second = place_policy("place", first, "", {"move.rebalance": "1"}, ("queue",), NOW)

    assert (second.algorithm, second.component) == ("fgd", "place")
    assert told(second) == {"scale.up_ms": "9", "move.rebalance": "1"}
    assert settings_of(ScalePolicy, second.parameters)[0].up_ms == 9
    assert second.event_id != first.event_id


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("queue", "luck", "queue is 'luck'; it must be one of priority, sensitivity, age"),
        (
            "speed",
            "1",
            "speed is no parameter; there are queue, scale.<name>, move.<name>, observed.<name>",
        ),
        ("canary.first", "1", "canary.first is no parameter"),
        ("scale.speed", "1", "scale.speed is no parameter; known: down_ms"),
        ("move.budget", "-1", "move.budget is '-1'; it must be from 0 to 1000"),
    ],
)
def test_what_will_not_do_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(RegistrationError, match=r"parameter|must be") as refused:
        place_policy("place/app", None, "", {name: value}, (), NOW)
    assert words in str(refused.value)


def test_what_is_not_set_cannot_be_unset() -> None:
    with pytest.raises(RegistrationError, match=r"move\.cost is not set for place"):
        place_policy("place", None, "", {}, ("move.cost",), NOW)


def test_a_canary_is_asked_for_on_terms() -> None:
    made = canary_policy("s", "int8", {"canary.first": "0.25"}, NOW)

    assert (made.scope, told(made)["variant"], made.mode) == ("canary/s", "int8", "act")
    assert settings_of(CanaryPolicy, made.parameters) == (CanaryPolicy(first=0.25), ())
    with pytest.raises(RegistrationError, match=r"canary\.first is '7'"):
        canary_policy("s", "int8", {"canary.first": "7"}, NOW)
    with pytest.raises(RegistrationError, match="first is no parameter"):
        canary_policy("s", "int8", {"first": "0.5"}, NOW)
