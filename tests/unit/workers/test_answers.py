"""From outputs to answers, from tensors to arrays and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Tensor
from tests.unit.workers.inference_world import DOUBLING, port, tensor
from workers.inference.answers import read
from workers.inference.errors import UnusableInput
from workers.inference.tensors import join, prepare, share_out, tensor_of
from workers.runtimes.base import Signature
from workers.runtimes.errors import ExecutionFailed

LABELLED = Signature(
    (port("x", None, 2),),
    (port("label", None, dtype="int64"), port("probabilities", None, 3)),
    {"classes": '["cat", "dog", "1"]'},
)


def test_a_label_with_probabilities() -> None:
    scores = np.array([[0.2, 0.3, 0.5]], np.float32)
    answer = read([np.array([1]), scores], LABELLED)
    assert (answer.label, answer.classes) == ("1", ("cat", "dog", "1"))
    assert answer.confidence == pytest.approx(0.5)
    assert answer.scores == pytest.approx((0.2, 0.3, 0.5))
    text = read([np.array(["dog"], object), scores], LABELLED)
    assert (text.label, text.confidence) == ("dog", pytest.approx(0.3))


def test_scores_alone_need_named_classes() -> None:
    named = Signature(LABELLED.inputs, (port("logits", None, 3),), LABELLED.properties)
    answer = read([np.array([[1.0, 3.0, 2.0]], np.float32)], named)
    assert answer.label == "dog"
    assert answer.confidence == pytest.approx(0.665, abs=1e-3)
    nameless = Signature(LABELLED.inputs, (port("logits", None, 3),))
    raw = read([np.array([[1.0, 3.0, 2.0]], np.float32)], nameless)
    assert raw.label is None
    assert raw.outputs[0].shape == (1, 3)


def test_nonsense_is_no_answer() -> None:
    with pytest.raises(ExecutionFailed, match="not finite"):
        read([np.array([1]), np.array([[0.1, np.nan, 0.9]], np.float32)], LABELLED)
    with pytest.raises(ExecutionFailed, match="no tensor can carry"):
        tensor_of("y", np.array(["a"], object))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((), "no input tensor"),
        ((Tensor(name="x", dtype="float32", shape=(2,), reference="s3://a"),), "is a reference"),
        ((Tensor(name="x", dtype="float32", shape=(3,), data=b"\0" * 8),), "cannot reshape"),
        ((Tensor(name="x", dtype="what", shape=(2,), data=b"\0" * 8),), "not understood"),
        ((Tensor(name="x", dtype="object", shape=(1,), data=b"\0" * 8),), "input x"),
        ((Tensor(name="x", dtype="float32", shape=(0, 2), data=b""),), "has shape 0x2"),
        ((Tensor(name="x", dtype="float32", shape=(-1,), data=b"\0" * 12),), "has shape 1x3"),
    ],
)
def test_unusable_tensors_are_told(given: tuple[Tensor, ...], why: str) -> None:
    with pytest.raises(UnusableInput, match=why):
        prepare(given, DOUBLING)


def test_several_inputs_are_taken_by_name() -> None:
    both = Signature((port("a", None, 1), port("b", None, 1)), ())
    prepared = prepare((tensor(2.0, name="b"), tensor(1.0, name="a")), both)
    assert [array.tolist() for array in prepared.arrays] == [[[1.0]], [[2.0]]]
    with pytest.raises(UnusableInput, match="input b is missing; given: a"):
        prepare((tensor(1.0, name="a"),), both)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_what_is_joined_is_shared_out_again(rows: list[int]) -> None:
    tasks = []
    for number, count in enumerate(rows):
        array = np.full((count, 2), number, np.float32)
        data = Tensor(name="x", dtype="float32", shape=array.shape, data=array.tobytes())
        tasks.append(prepare((data,), DOUBLING))
    parts = share_out([array * 2 for array in join(tasks)], tasks)
    assert [part[0].tolist() for part in parts] == [(p.arrays[0] * 2).tolist() for p in tasks]


def tokens(*rows: list[int]) -> Tensor:
    array = np.array(rows, np.int64)
    return Tensor(name="tokens", dtype="int64", shape=array.shape, data=array.tobytes())


def test_ragged_inputs_are_filled_up_only_where_the_model_says_so() -> None:
    ports = (port("tokens", None, None, dtype="int64"),)
    ragged = (tokens([1, 2, 3]), tokens([4], [5]), tokens([6, 7]))
    padded = Signature(ports, (), {"pads": '{"tokens": -1}'})
    tasks = [prepare((one,), padded) for one in ragged]
    assert len({one.shape for one in tasks}) == 1
    (joined,) = join(tasks)
    assert joined.tolist() == [[1, 2, 3], [4, -1, -1], [5, -1, -1], [6, 7, -1]]
    assert [part[0].shape[0] for part in share_out([joined[:, 0]], tasks)] == [1, 2, 1]
    assert join(tasks[1:2])[0].shape == (2, 1)
    alone = [prepare((one,), Signature(ports, ())) for one in ragged]
    assert len({one.shape for one in alone}) == 3


@pytest.mark.parametrize(
    "text", ["", "tokens", "[1]", '{"tokens": "0"}', '{"tokens": NaN}', '{"tokens": 0.5}']
)
def test_what_is_no_filling_fills_nothing(text: str) -> None:
    ports = (port("tokens", None, None, dtype="int64"),)
    assert prepare((tokens([1, 2]),), Signature(ports, (), {"pads": text})).fills == (None,)
    fixed = Signature((port("tokens", 1, None, dtype="int64"),), (), {"pads": '{"tokens": 0}'})
    assert prepare((tokens([1, 2]),), fixed).fills == (None,)


def test_outputs_that_do_not_fit_the_rows_are_refused() -> None:
    tasks = [prepare((tensor(1.0, 2.0),), DOUBLING)] * 2
    with pytest.raises(ExecutionFailed, match="where 2 rows went in"):
        share_out([np.zeros((1, 2))], tasks)
