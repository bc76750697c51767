"""For which shapes an engine is built, and what makes it another engine."""

import pytest

from tests.unit.workers.inference_world import port
from workers.runtimes.errors import BrokenModel
from workers.runtimes.options import checked
from workers.runtimes.tensorrt_options import EngineOptions, Shapes, engine_key, shapes_of


def test_open_rows_have_shapes_by_themselves_and_others_are_given() -> None:
    own = EngineOptions()
    assert shapes_of(port("x", 1, 3), own) is None
    assert shapes_of(port("x", None, 3), own) == Shapes((1, 3), (8, 3), (32, 3))
    assert shapes_of(port("x", None), EngineOptions(rows="2,2,2")) == Shapes((2,), (2,), (2,))
    given = checked(EngineOptions, {"profile.x": "1x3x8x8,2x3x16x16,4x3x32x32"})
    assert shapes_of(port("x", None, 3, None, None), given) == Shapes(
        (1, 3, 8, 8), (2, 3, 16, 16), (4, 3, 32, 32)
    )


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        ("", r"give three shapes of 2 sizes|invalid literal"),
        ("1x3,2x3", "give three shapes of 2 sizes each"),
        ("1x3,2x3,4x3x3", "give three shapes of 2 sizes each"),
        ("axb,2x3,4x3", "invalid literal"),
        ("2x3,1x3,4x3", "must not fall"),
        ("0x3,1x3,4x3", "must not fall"),
        ("1x3,2x4,4x5", "the model fixes 3 where 4 stands"),
    ],
)
def test_profiles_that_cannot_be_say_why(profile: str, why: str) -> None:
    with pytest.raises(BrokenModel, match=why):
        shapes_of(port("x", None, 3), EngineOptions(profile={"x": profile}))


def test_open_sizes_besides_rows_must_be_given() -> None:
    with pytest.raises(BrokenModel, match=r"give runtime\.profile\.x"):
        shapes_of(port("x", None, None), EngineOptions())


def test_an_engine_is_another_when_anything_differs() -> None:
    own = EngineOptions()
    base = ("model", "NVIDIA H200 9.0", "10.3", "", own)
    keys = {engine_key(*base)}
    for place, other in enumerate(("m", "Orin 8.7", "10.4", "c", EngineOptions(rows="1,1,1"))):
        changed = [*base]
        changed[place] = other
        keys.add(engine_key(*changed))  # type: ignore[arg-type]  # one of five
    assert len(keys) == 6
    assert engine_key(*base) in keys
