"""What results say of their inputs: by hand, over batches, in the result of a task."""

import math
from dataclasses import replace

import numpy as np
import pytest

from schemas.inference import InputSummary
from tests.unit.workers.inference_world import T0, task
from tests.unit.workers.test_engine import engine, work
from workers.inference.engine import Engine, EngineParams
from workers.inference.summaries import MOST, summarized
from workers.inference.tensors import Prepared
from workers.runtimes.base import Array, Port


def prepared(*arrays: Array) -> Prepared:
    return Prepared(arrays, 1, "", (None,) * len(arrays), "")


def port(name: str, dtype: str = "float32") -> Port:
    return Port(name, np.dtype(dtype), (None,))


def test_numbers_by_hand_and_what_is_missing() -> None:
    values = np.array([[1.0, 3.0, math.nan, math.inf]], np.float32)
    nothing = np.full((1, 4), math.nan, np.float32)

    (first,), (second,) = summarized([prepared(values), prepared(nothing)], [port("x")])

    assert first == InputSummary(name="x", mean=2.0, std=1.0, low=1.0, high=3.0, missing=0.5)
    assert second == InputSummary(name="x", mean=0.0, std=0.0, low=0.0, high=0.0, missing=1.0)


def test_inputs_of_many_sizes_and_kinds_are_told_for_each_task() -> None:
    dice = np.random.default_rng(1)
    sizes = (3, 5, 3, 8)
    tasks = [
        prepared(np.array([["a"]]), np.arange(size, dtype=np.int64)[None], dice.normal(size=(1, 2)))
        for size in sizes
    ]

    told = summarized(tasks, [port("words", "U1"), port("ids", "int64"), port("x", "float64")])

    assert [[one.name for one in each] for each in told] == [["ids", "x"]] * 4
    assert [each[0].high for each in told] == [2.0, 4.0, 2.0, 7.0]
    assert [each[1].mean for each in told] == pytest.approx(
        [float(each.arrays[2].mean()) for each in tasks]
    )


def test_of_a_long_input_a_part_is_looked_at() -> None:
    picture = np.tile(np.linspace(0.0, 1.0, 224), (1, 3, 224, 1))

    ((one,),) = summarized([prepared(picture)], [port("image", "float64")])

    assert picture.size > 10 * MOST
    assert one.mean == pytest.approx(0.5, abs=0.01)
    assert one.std == pytest.approx(float(picture.std()), abs=0.01)
    assert (one.low, one.high) == (0.0, 1.0)


def test_huge_values_break_nothing() -> None:
    ((one,),) = summarized([prepared(np.array([[1e308, 1e308]]))], [port("x", "float64")])

    assert one.high == 1e308


def test_results_say_what_their_inputs_looked_like_unless_switched_off() -> None:
    made = engine()
    for number in (3, 5):
        made.receive(task(number), number, T0)
    told = [each for _ in range(2) for each in work(made)]
    assert [each.input_summary[0].high for each in told if each.input_summary] == [3.0, 5.0]
    silent = Engine(replace(EngineParams(node="n", worker="w"), summaries=False))
    assert silent._summarized([]) == []
