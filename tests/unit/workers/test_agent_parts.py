"""The agent's parts that decide: rates, GPUs, the node it reports, the neighbours it measures."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.records import KeyValue
from schemas.registrations import NodeReported
from workers.agent import gpus, node
from workers.agent.chosen import Usage, together
from workers.agent.echoing import Neighbour, address, megabits_per_s, place
from workers.agent.gpus import GpuState, NoGpus
from workers.agent.machine import _VIRTUAL, MOST_SENSORS, temperatures
from workers.agent.nvml import nvidia
from workers.agent.readings import Rates, Reading

FACTS = node.Facts(
    node="edge-1", cores=2, memory_mib=4096, disk_mib=10_000, architecture="arm64",
    operating_system="linux", labels=(("room", "hall"),), answers_at="10.0.0.1:7878",
)  # fmt: skip


def test_rates_are_of_counters_that_grow() -> None:
    rates = Rates()
    assert rates.of({"a": 10, "b": 5}, 1.0) == {}
    assert rates.of({"a": 30, "b": 4}, 3.0) == {"a": 10.0}
    assert rates.of({"a": 30, "b": 6}, 5.0) == {"a": 0.0, "b": 1.0}
    assert rates.of({"b": 8}, 6.0) == {"b": 2.0}
    assert rates.of({"a": 99, "b": 8}, 6.0) == {}


def test_processes_of_a_choice_are_told_together() -> None:
    usages = [Usage(10.0, 3 << 20, 2), Usage(5.0, 1 << 20, 1)]
    assert list(together("cam", usages)) == [
        Reading("process.cam.count", 2, "1"),
        Reading("process.cam.cpu", 15.0, "%"),
        Reading("process.cam.memory", 4.0, "MiB"),
        Reading("process.cam.threads", 3, "1"),
    ]
    first = together("cam", [Usage(None, 1 << 20, 1)])
    assert [reading.metric for reading in first] == [
        "process.cam.count", "process.cam.memory", "process.cam.threads",
    ]  # fmt: skip
    assert list(together("cam", [])) == [Reading("process.cam.count", 0, "1")]


GPU = GpuState(
    index=1, model="H", memory_total=8 << 30, memory_used=2 << 30, used=37.0, power_mw=12_500
)


def test_a_gpu_tells_what_it_knows() -> None:
    assert list(gpus.readings([GPU])) == [
        Reading("gpu.1.used", 37.0, "%"),
        Reading("gpu.1.memory.used", 2048.0, "MiB"),
        Reading("gpu.1.memory.total", 8192.0, "MiB"),
        Reading("gpu.1.power", 12.5, "W"),
    ]
    (told,) = gpus.of_node([GPU])
    assert (told.index, told.model, told.memory_mib, told.memory_used_mib, told.used_milli) == (
        1, "H", 8192, 2048, 370,
    )  # fmt: skip


class NvmlError(Exception):
    """What the library raises."""


def library(**functions: Any) -> Any:
    """Return a module with NVML's names, as nvidia-ml-py documents them: two GPUs, one of which
    knows only its memory. It shows what we do with answers, not that a driver gives them."""

    def use(handle: int) -> Any:
        if handle:
            raise NvmlError("Not Supported")
        return SimpleNamespace(gpu=55, memory=7)

    def number(value: int) -> Any:
        def ask(handle: int, _kind: int = 0) -> int:
            if handle:
                raise NvmlError("Not Supported")
            return value

        return ask

    known = {
        "NVMLError": NvmlError,
        "NVML_TEMPERATURE_GPU": 0,
        "NVML_CLOCK_SM": 1,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: b"Old" if handle else "New",
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=100, used=40),
        "nvmlDeviceGetUtilizationRates": use,
        "nvmlDeviceGetTemperature": number(61),
        "nvmlDeviceGetPowerUsage": number(70_000),
        "nvmlDeviceGetClockInfo": number(1_980),
    }
    return SimpleNamespace(**(known | functions))


def test_nvml_is_asked_and_what_is_not_supported_is_absent() -> None:
    first, second = nvidia(lambda _: library()).states()
    assert first == GpuState(
        index=0, model="New", memory_total=100, memory_used=40, used=55.0, memory_busy=7.0,
        temperature=61, power_mw=70_000, clock_mhz=1_980,
    )  # fmt: skip
    assert second == GpuState(index=1, model="Old", memory_total=100, memory_used=40)


def test_a_gpu_that_fails_is_left_out_until_it_answers() -> None:
    failing = {"now": True}

    def handle(index: int) -> int:
        if index == 0 and failing["now"]:
            raise NvmlError("GPU is lost")
        return index

    source = nvidia(lambda _: library(nvmlDeviceGetHandleByIndex=handle))
    assert [state.index for state in source.states()] == [1]
    failing["now"] = False
    assert [state.index for state in source.states()] == [0, 1]


def test_without_library_or_driver_there_are_no_gpus() -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    def no_driver() -> None:
        raise NvmlError("Driver Not Loaded")

    for load in (absent, lambda _: library(nvmlInit=no_driver)):
        source = nvidia(load)
        assert isinstance(source, NoGpus)
        assert source.states() == []


def test_a_node_is_reported_tainted_unless_it_may_be_placed_on() -> None:
    told = node.report(FACTS, (50.0, 25.0), 1024, gpus.of_node([GPU]), 1_000)
    assert (told.cpu_milli, told.cpu_used_milli, told.memory_mib) == (2000, 750, 4096)
    assert [core.used_milli for core in told.cores] == [500, 250]
    assert (told.taints, told.status, told.expires_at) == (("observed",), "ready", 6_000)
    assert told.labels == (
        KeyValue(key="room", value="hall"),
        KeyValue(key="weir.agent", value="10.0.0.1:7878"),
    )
    assert len(told.gpus) == 1
    last = node.report(FACTS, (), 0, (), 1_000, status="unknown")
    assert (last.status, last.expires_at, last.message) == (
        "unknown", 1_000, "its agent was stopped",
    )  # fmt: skip


def known(name: str, place: str | None, expires_at: int = 10_000) -> NodeReported:
    labels = () if place is None else (KeyValue(key=node.AGENT, value=place),)
    return NodeReported(
        node=name, cpu_milli=1, memory_mib=1, labels=labels, architecture="", operating_system="",
        status="ready", heartbeat=0, expires_at=expires_at,
    )  # fmt: skip


def test_a_node_that_something_else_reports_is_left_to_it_while_it_does() -> None:
    assert node.told_by_another(known("a", None), 9_999)
    assert not node.told_by_another(known("a", None), 10_000)
    assert not node.told_by_another(known("a", ""), 0)
    assert not node.told_by_another(None, 0)


def test_an_agent_tells_its_node_until_who_discovers_nodes_has_heard_it() -> None:
    unheard = replace(known("a", None), source="kubernetes")
    heard = replace(known("a", "10.0.0.1:7878"), source="kubernetes")
    assert not node.told_by_another(unheard, 0, "10.0.0.1:7878")
    assert node.told_by_another(heard, 0, "10.0.0.1:7878")
    assert not node.told_by_another(heard, 0, "10.0.0.1:7879")


def test_neighbours_are_the_next_eight_in_a_ring_of_names() -> None:
    nodes = [known(f"n{number:02}", f"10.0.0.{number}:7878") for number in range(12)]
    silent = [
        known("n035", None),
        known("n036", ""),
        known("n037", "nowhere"),
        known("n038", "h:1", expires_at=5),
    ]
    found = node.neighbours([*silent, *reversed(nodes)], "n03", 5)
    assert [each.name for each in found] == [
        "n04", "n05", "n06", "n07", "n08", "n09", "n10", "n11",
    ]  # fmt: skip
    assert found[0] == Neighbour("n04", "10.0.0.4", 7878)
    wrapped = node.neighbours(nodes, "n09", 5)
    assert [each.name for each in wrapped][:3] == ["n10", "n11", "n00"]
    counts = [sum(each.name == "n00" for each in node.neighbours(nodes, n.node, 5)) for n in nodes]
    assert sum(counts) == 8


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("10.0.0.7:7878", ("", "10.0.0.7", 7878)),
        ("[10.0.0.7]:7878", ("", "10.0.0.7", 7878)),
        ("edge-2=edge.example:1", ("edge-2", "edge.example", 1)),
        ("[::1]:99", ("", "::1", 99)),
        ("n=[fe80::1]:65535", ("n", "fe80::1", 65535)),
    ],
)
def test_addresses_are_read(text: str, parts: tuple[str, str, int]) -> None:
    assert address(text) == parts
    assert address(place(*parts[1:])) == ("", *parts[1:])


def test_sensors_of_one_name_are_numbered_and_bounded() -> None:
    disks = [SimpleNamespace(label="Composite", current=t) for t in (40.0, 50.0)]
    other = [SimpleNamespace(label="", current=float(n)) for n in range(MOST_SENSORS)]
    found = list(temperatures({"nvme": disks, "acpi": other, "late": other}))
    assert found[:3] == [
        Reading("temperature.nvme.composite", 40.0, "C"),
        Reading("temperature.nvme.composite.2", 50.0, "C"),
        Reading("temperature.acpi.0", 0.0, "C"),
    ]
    assert len(found) == len({reading.metric for reading in found}) == MOST_SENSORS


@pytest.mark.parametrize(
    ("name", "real"), [("lo", False), ("lo0", False), ("lowpan0", True), ("eth0", True),
                       ("veth12", False), ("docker0", False), ("wlan0", True)]
)  # fmt: skip
def test_interfaces_that_carry_what_others_carry_are_told_apart(name: str, real: bool) -> None:
    assert (_VIRTUAL.fullmatch(name) is None) is real


@pytest.mark.parametrize("text", ["", "host", ":1", "host:x", "host:65536", "::1:5", "a b:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no HOST:PORT"):
        address(text)


def test_bandwidth_leaves_the_acknowledgement_out() -> None:
    assert megabits_per_s(1_000_000, 1.1, 0.1) == pytest.approx(8.0)
    assert megabits_per_s(1_000_000, 0.1, 0.1) == pytest.approx(800.0)
