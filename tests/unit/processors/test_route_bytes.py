"""What route hands out as Avro is what the codec would write; its own answers it knows by key."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.routing.taskbytes import packed_tasks
from schemas.codec import pack
from schemas.inference import InferenceTask
from schemas.packed import Packed
from tests.unit.processors import routing_world as w
from tests.unit.processors.routing_world import World, responses, result, tasks


def _task() -> InferenceTask:
    return tasks(World(w.usual()).step(0, w.request(user="kim", trace="00-1")))[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "instance": st.text(max_size=80),
                "attempt": st.integers(0, 200),
                "priority": st.integers(-(2**40), 2**40),
                "deadline": st.integers(-1, 2**45),
                "shadow": st.booleans(),
                "purpose": st.sampled_from(("", "hedge")),
                "user": st.sampled_from(("", "kim")),
            }
        ),
        max_size=5,
    )
)
def test_tasks_are_encoded_as_the_codec_does(changes: list[dict[str, object]]) -> None:
    made = [replace(_TASK, **change) for change in changes]  # type: ignore[arg-type]  # fields of a task
    found = list(packed_tasks(made))
    assert [(one.body, one.topic) for one in found if isinstance(one, Packed)] == [
        (pack(task), f"weir.tasks.{task.worker}") for task in made
    ]


_TASK = _task()


def test_an_answer_that_comes_back_is_known_by_its_key_alone() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, w.request()))
    (answer,) = responses(world.step(1, *(result(task) for task in asked)))
    key = answer.request_id.encode()
    assert not world.router.recognised("weir.results", key, 4)
    assert not world.router.recognised("weir.responses", b"\xff\xfe", 4)
    assert world.router.recognised("weir.responses", key, 4)
    assert world.router.oldest_needed() == {(w.RESPONSES, 0): 4}
    assert world.step(2, w.request()) == [answer]
