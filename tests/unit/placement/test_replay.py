"""Replays: who comes, in which order, and what is told of it."""

from itertools import count

import pytest

from placement.algorithms.names import OWN
from placement.errors import TraceRefused
from placement.replay.failures import Failure, drawn
from placement.replay.filling import Replay, arrivals, listed
from placement.replay.traces import Pod
from tests.unit.placement.clusters import machine, need

MACHINES = [machine("a", 8000, 16_000, 2), machine("b", 8000, 16_000, 2)]
PODS = [
    Pod("shared", need(500, 500, 1, 400)),
    Pod("whole", need(1000, 500, 1)),
    Pod("plain", need(250, 100)),
]


def replay(pods=PODS, name="fgd", machines=MACHINES, failures=(), together=1) -> Replay:
    ticks = count()
    clock = lambda: float(next(ticks))  # noqa: E731 - it counts
    return Replay(machines, pods, OWN[name], 0, clock, failures, together)


def asked(pods) -> int:
    return sum(pod.need.gpu_total for pod in pods)


@pytest.mark.parametrize("times", [0.1, 0.5, 1.3, 5.0])
def test_copies_come_until_they_ask_for_so_many_clusters(times) -> None:
    came = arrivals(PODS, MACHINES, times, 3)
    assert asked(came) <= times * 4000 < asked(came) + 1000
    assert came == arrivals(PODS, MACHINES, times, 3)
    if times > 1:
        assert came != arrivals(PODS, MACHINES, times, 4)
        assert {pod.name for pod in came} == {pod.name for pod in PODS}


def test_without_gpus_copies_come_until_they_ask_for_so_much_cpu() -> None:
    came = arrivals([PODS[2]], MACHINES, 1.0, 0)
    assert len(came) == 64


def test_a_filling_that_cannot_end_is_refused() -> None:
    with pytest.raises(TraceRefused, match="nothing to fill"):
        arrivals([Pod("none", need(0, 100))], MACHINES, 1.3, 0)
    with pytest.raises(TraceRefused, match="nothing to fill"):
        arrivals([], MACHINES, 1.3, 0)
    with pytest.raises(TraceRefused, match="more than 1000000 copies"):
        arrivals([Pod("tiny", need(1))], [machine("a", 10**9)], 1.3, 0)
    with pytest.raises(TraceRefused, match="less than one copy asks for"):
        arrivals(PODS[:2], [machine("a", 8000, 16_000, 0)], 1.3, 0)
    with pytest.raises(TraceRefused, match="less than one copy asks for"):
        arrivals(PODS[:2], MACHINES, 0.05, 0)


def test_a_filling_tells_what_was_placed_and_what_was_not() -> None:
    pods = [PODS[1]] * 6
    found = replay(pods).fill(pods)
    assert (found["nodes"], found["arrived"], found["placed"]) == (2, 6, 4)
    assert (found["asked"], found["allocation"]) == (150.0, 100.0)
    told = {"copies": 2, "cpu_milli": 2000, "memory_mib": 1000, "gpu_milli": 2000}
    assert found["rejected"] == told
    assert [row["arrived"] for row in found["over_time"]] == [1, 2, 3, 4, 5, 6]
    assert [row["allocation"] for row in found["over_time"]] == [25, 50, 75, 100, 100, 100]
    assert found["decision_ms"] == {"p50": 1000.0, "p99": 1000.0, "max": 1000.0}
    assert found["seconds"] == 6.0


def test_fragmentation_is_what_the_workload_cannot_use() -> None:
    pods = [Pod("shared", need(500, 500, 1, 600))] * 4
    found = replay(pods).fill(pods)
    assert [row["fragmentation"] for row in found["over_time"]] == [10.0, 20.0, 30.0, 40.0]


def test_copies_leave_when_the_trace_says() -> None:
    pods = [
        Pod("late", need(gpus=2), 5, 9),
        Pod("first", need(gpus=2), 0, 5),
        Pod("stays", need(gpus=2), 1),
        Pod("no room", need(gpus=2), 4, 6),
    ]
    found = replay(pods).timed(pods)
    assert (found["placed"], found["rejected"]["copies"]) == (3, 1)
    assert [row["time"] for row in found["over_time"]] == [0, 1, 4, 5]
    assert [row["allocation"] for row in found["over_time"]] == [50.0, 100.0, 100.0, 100.0]


def test_times_have_to_be_told_to_be_replayed() -> None:
    with pytest.raises(TraceRefused, match="creation_time of 'shared' is missing; add it"):
        replay().timed(PODS)


def test_nodes_come_in_an_order_of_the_seed() -> None:
    machines = [machine(f"n{number}") for number in range(20)]
    first = listed(machines, 1)
    assert first == listed(machines, 1)
    assert first != listed(machines, 2)
    assert sorted(each.name for each in first) == sorted(each.name for each in machines)


def test_what_ran_on_a_node_that_fails_is_placed_anew_or_lost() -> None:
    """Both nodes are full up to half a GPU; one large copy is lost, the shared ones move."""
    whole, half = need(1000, 500, 1), need(500, 500, 1, 500)
    pods = [Pod("whole", whole), Pod("half", half), Pod("whole", whole), Pod("late", half)]
    ran = replay(pods, "first-fit", failures=[Failure("a", 2, 3), Failure("a", 2)])
    found = ran.fill(pods)
    assert (found["failures"], found["moves"], found["lost"]) == (1, 2, 0)
    assert [row["down"] for row in found["over_time"]] == [0, 0, 1, 0]
    assert [row["allocation"] for row in found["over_time"]] == [25.0, 37.5, 37.5, 50.0]
    assert found["rejected"]["copies"] == 1


def test_copies_of_a_node_that_failed_do_not_leave_twice() -> None:
    pods = [
        Pod("lost", need(gpus=2), 0, 5),
        Pod("stays", need(gpus=2), 1, 9),
        Pod("after", need(gpus=2), 6, 8),
        Pod("end", need(), 9),
    ]
    ran = replay(pods, "first-fit", failures=[Failure("a", 2, 4)])
    found = ran.timed(pods)
    assert (found["failures"], found["moves"], found["lost"]) == (1, 0, 1)
    assert (found["placed"], found["departed"]) == (4, 2)
    assert ran.columns.gpu_free.sum() == ran.columns.gpu_capacity.sum()


def test_failures_follow_from_the_seed() -> None:
    found = drawn(MACHINES, 5, 100, 200, 7)
    assert found == drawn(MACHINES, 5, 100, 200, 7)
    assert found != drawn(MACHINES, 5, 100, 200, 8)
    assert {each.node for each in found} == {"a", "b"}
    assert all(100 <= each.at < 200 and each.back == each.at + 10 for each in found)
    assert drawn([], 5, 0, 1, 0) == drawn(MACHINES, 0, 0, 1, 0) == []


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Failure("nix", 1), r"failures\[0\].node: 'nix' is no node of the trace"),
        (Failure("a", 5, 4), r"failures\[0\].back: it is before"),
    ],
)
def test_failures_that_cannot_be_are_refused(failure: Failure, told: str) -> None:
    with pytest.raises(TraceRefused, match=told):
        replay(failures=[failure])


def test_copies_that_come_together_are_placed_together() -> None:
    pods = [Pod("small", need(2000)), Pod("small", need(2000)), Pod("large", need(8000))]
    for name, together, placed in (("worst-fit", 1, 2), ("worst-fit", 3, 2), ("gradient", 3, 3)):
        assert replay(pods, name, together=together).fill(pods)["placed"] == placed


def test_what_the_nodes_draw_is_told() -> None:
    machines = [machine("a", 8000, idle_w=50.0, full_w=90.0)]
    pods = [Pod("plain", need(4000))] * 2
    found = replay(pods, machines=machines).fill(pods)
    assert [row["power_w"] for row in found["over_time"]] == [70.0, 90.0]
