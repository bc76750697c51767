"""Events are made by an `__init__` of their own; what they are then is what dataclasses make."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, fields
from inspect import signature
from typing import Any

import pytest

from schemas.base import Event
from schemas.events import EVENTS
from tests.examples import example

EVERY = list(EVENTS.values())


def as_dataclasses_do(event: type[Event], given: dict[str, Any]) -> Event:
    made = object.__new__(event)
    event.__init__.__wrapped__(made, **given)  # type: ignore[attr-defined]  # what `wraps` leaves
    return made


@pytest.mark.parametrize("event", EVERY)
def test_an_event_is_what_dataclasses_would_make(event: type[Event]) -> None:
    model = example(event)
    given = {one.name: getattr(model, one.name) for one in fields(event)}  # type: ignore[arg-type]
    made, slow = event(**given), as_dataclasses_do(event, given)
    assert type(made) is event
    assert made == slow == model
    assert repr(made) == repr(slow)
    assert pickle.loads(pickle.dumps(made)) == copy.copy(made) == slow
    with pytest.raises(FrozenInstanceError):
        setattr(made, next(iter(given)), None)
    with pytest.raises(AttributeError):
        object.__setattr__(made, "another", 1)
    assert list(signature(event).parameters) == list(given)


@dataclass(frozen=True, slots=True)
class _Placed(Event):
    first: int
    second: str = "two"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mixed(_Placed):
    third: tuple[int, ...] = ()


def test_defaults_and_places_are_those_of_the_class() -> None:
    assert (_Placed(1).first, _Placed(1).second, _Placed(1, "b").second) == (1, "two", "b")
    mixed = _Mixed(5, third=(1,))
    assert (mixed.first, mixed.second, mixed.third, type(mixed)) == (5, "two", (1,), _Mixed)


@pytest.mark.parametrize("given", [{}, {"first": 1, "fourth": 4}])
def test_what_is_missing_or_unknown_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="first" if not given else "fourth"):
        _Mixed(**given)
