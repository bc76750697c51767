"""What route hands out as Avro is what the codec would write; its own answers it knows by key."""

from processors.routing.admission import RESPONSES
from processors.routing.route import REQUESTS
from schemas.codec import pack
from schemas.packed import Packed, Told
from schemas.processing import Batch, Record
from tests.unit.processors import routing_world as w
from tests.unit.processors.routing_world import World, responses, result, tasks


def test_tasks_leave_as_avro_for_their_worker() -> None:
    world = World(w.usual())
    record = Record(w.request(user="kim", trace="00-1"), REQUESTS, 0, 0, w.T0)
    found = world.router.process(Batch((record,), w.T0, world.known))
    assert isinstance(found, Told)
    assert [(one.body, one.topic) for one in found.parts if isinstance(one, Packed)] == [
        (pack(task), f"weir.tasks.{task.worker}") for task in tasks(list(found))
    ]


def test_an_answer_that_comes_back_is_known_by_its_key_alone() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, w.request()))
    (answer,) = responses(world.step(1, *(result(task) for task in asked)))
    key = answer.request_id.encode()
    assert not world.router.recognised("weir.results", key, 4)
    assert not world.router.recognised("weir.responses", b"\xff\xfe", 4)
    assert world.router.recognised("weir.responses", key, 4)
    assert world.router.oldest_needed() == {(RESPONSES, 0): 4}
    assert world.step(2, w.request()) == [answer]
