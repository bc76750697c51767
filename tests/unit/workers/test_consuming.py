"""What a worker takes of its machine, by what it is told: time and memory are given."""

from schemas.working import WorkerReported
from tests.unit.workers.inference_world import FakeSession, service
from workers.inference.consuming import Consumption, Use, own_use
from workers.inference.replicas import CPU, Hosted

REPORT = WorkerReported(
    worker="edge-1",
    node="edge",
    status="running",
    began_at=0,
    busy_share=0.0,
    wasted_share=0.0,
    heartbeat=0,
    expires_at=1,
)


class Clock:
    """A machine that says what it is told to say."""

    def __init__(self) -> None:
        self.use = Use(0.0, 0.0, 100, (0, 1))

    def __call__(self) -> Use:
        return self.use

    def pass_(self, seconds: float, cpu_s: float, memory_mib: int) -> None:
        use = self.use
        self.use = Use(use.at_s + seconds, use.cpu_s + cpu_s, memory_mib, use.cores)


def hosted(name: str, memory_mib: int) -> Hosted:
    return Hosted(name, service(name), CPU, FakeSession(), "fake", "", f"{name}#1", memory_mib)


def test_cpu_is_told_once_it_was_watched_for_a_minute() -> None:
    clock = Clock()
    consumption = Consumption(clock)
    there = [hosted("a", 10), hosted("b", 30)]
    for _ in range(11):
        clock.pass_(5.0, 3.0, 140)
        consumption.executed("a", 2, 1000.0)
        told = consumption.told(REPORT, there, 0)
        assert (told.cpu_milli, told.uses[0].cpu_milli) == (0, 0)
    for _ in range(20):
        clock.pass_(5.0, 3.0, 140)
        consumption.executed("a", 2, 1000.0)
        told = consumption.told(REPORT, there, 600)
    assert (told.cpu_milli, told.memory_mib, told.memory_limit_mib) == (600, 140, 600)
    assert told.cores == (0, 1)
    used, idle = told.uses
    assert (used.instance, used.tasks, used.cpu_ms, used.cpu_milli) == ("a", 62, 31_000.0, 200)
    assert (idle.service, idle.tasks, idle.cpu_milli) == ("b", 0, 0)


def test_memory_is_what_loading_took_and_a_part_of_what_grew() -> None:
    clock = Clock()
    consumption = Consumption(clock)
    there = [hosted("a", 10), hosted("b", 30)]
    clock.pass_(5.0, 0.0, 140)
    assert [u.memory_mib for u in consumption.told(REPORT, there, 0).uses] == [10, 30]
    clock.pass_(5.0, 0.0, 180)
    assert [u.memory_mib for u in consumption.told(REPORT, there, 0).uses] == [20, 60]
    clock.pass_(5.0, 0.0, 120)
    assert [u.memory_mib for u in consumption.told(REPORT, there, 0).uses] == [10, 30]


def test_instances_that_have_left_are_forgotten() -> None:
    consumption = Consumption(Clock())
    consumption.executed("a", 1, 5.0)
    assert [u.tasks for u in consumption.told(REPORT, [hosted("a", 1)], 0).uses] == [1]
    assert consumption.told(REPORT, [], 0).uses == ()
    assert [u.tasks for u in consumption.told(REPORT, [hosted("a", 1)], 0).uses] == [0]


def test_this_process_has_memory_and_cores() -> None:
    use = own_use()
    assert use.memory_mib > 10
    assert use.cores
    assert use.cpu_s > 0
