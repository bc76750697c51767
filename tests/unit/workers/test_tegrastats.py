"""Lines of every generation of Jetson, read to the last word.

The lines have the forms that NVIDIA documents for R28 to R39; their numbers are made up.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.probe_world import until
from workers.agent.readings import Reading
from workers.agent.tegra_process import Tegra, command
from workers.agent.tegrastats import LONGEST, parse

ORIN = (
    "02-03-2026 07:08:09 RAM 11213/63000MB (lfb 21x4MB) SWAP 12/31500MB (cached 3MB) "
    "CPU [11%@2100,off,4%@1100] EMC_FREQ 5%@2000 GR3D_FREQ 7%@[114,115] NVENC 61%@160 NVDEC off "
    "NVJPG1 off VIC 31%@120 OFA off NVDLA0 off PVA0_FREQ off APE 170 cpu@51.25C CV0@-256C "
    "tj@-3.5C VDD_GPU_SOC 2300mW/2200mW VIN_SYS_5V0 4600mW/4500mW NC 0mW/0mW NC 0mW/0mW"
)
THOR = (
    "03-04-2026 08:09:10 RAM 7000/125000MB (lfb 9x4MB) CPU [31%@2500,off,7%@2500] EMC_FREQ @4200 "
    "GR3D_FREQ @[1500,1400,off] NVENC0_FREQ @1600 NVDEC0 off VIC_LOAD 12% "
    "PVA0_FREQ off APE 300 cpu@58.25C/61.75C tj@-256C/66.5C soc012@41C "
    "VDD_GPU 37000mW/8000mW/38000mW VIN 124000mW/36000mW/125000mW"
)
XAVIER = (
    "RAM 2690/6854MB (lfb 6x1MB) SWAP 479/3427MB (cached 3MB) CPU [3%@1904,off] EMC_FREQ 0%@1600 "
    "GR3D_FREQ 0%@[510] VIC_FREQ 601 APE 150 MTS fg 1% bg 2% AUX@39C GPU@37.5C "
    "VDD_IN 5046mW/5040mW VDD_CPU_GPU_CV 696mW/690mW"
)
TX1 = (
    "RAM 1179/3983MB (lfb 120x4MB) IRAM 0/252kB(lfb 252kB) CPU [1%@102,4%@102] EMC_FREQ 7%@408 "
    "GR3D_FREQ 5%@76 APE 25 Tboard@38C VDD_IN 2532/2698 VDD_CPU 76/178"
)
OLDEST = "RAM 3468/3983MB (lfb 48x4MB) cpu [17%,13%]@408 EMC 1%@408 APE 25 GR3D 39%@76"
NANO = (
    "RAM 613/3964MB (lfb 1x512kB) CPU [2%@102] EMC_FREQ 0% GR3D_FREQ 88% MSENC 115 PLL@39C "
    "thermal@41C POM_5V_IN 2353/2350 POM_5V_GPU 0/0 VDD_SYS 1234mW"
)


def said(line: str) -> dict[str, tuple[float, str]]:
    readings, unread = parse(line)
    assert unread == []
    assert len({reading.metric for reading in readings}) == len(readings)
    return {r.metric.removeprefix("jetson."): (r.value, r.unit) for r in readings}


def test_an_orin() -> None:
    assert said(ORIN) == {
        "ram.used": (11213, "MB"), "ram.total": (63000, "MB"), "ram.lfb": (4, "MB"),
        "ram.lfb_blocks": (21, "1"), "swap.used": (12, "MB"), "swap.total": (31500, "MB"),
        "swap.cached": (3, "MB"), "cpu.0.online": (1, ""), "cpu.0.used": (11, "%"),
        "cpu.0.frequency": (2100, "MHz"), "cpu.1.online": (0, ""), "cpu.2.online": (1, ""),
        "cpu.2.used": (4, "%"), "cpu.2.frequency": (1100, "MHz"), "emc.on": (1, ""),
        "emc.used": (5, "%"), "emc.frequency": (2000, "MHz"), "gr3d.on": (1, ""),
        "gr3d.used": (7, "%"), "gr3d.0.frequency": (114, "MHz"), "gr3d.1.frequency": (115, "MHz"),
        "nvenc.on": (1, ""), "nvenc.used": (61, "%"), "nvenc.frequency": (160, "MHz"),
        "nvdec.on": (0, ""), "nvjpg1.on": (0, ""), "vic.on": (1, ""), "vic.used": (31, "%"),
        "vic.frequency": (120, "MHz"), "ofa.on": (0, ""), "nvdla0.on": (0, ""), "pva0.on": (0, ""),
        "ape.on": (1, ""), "ape.frequency": (170, "MHz"), "temperature.cpu": (51.25, "C"),
        "temperature.tj": (-3.5, "C"), "power.vdd_gpu_soc": (2300, "mW"),
        "power.vdd_gpu_soc.average": (2200, "mW"), "power.vin_sys_5v0": (4600, "mW"),
        "power.vin_sys_5v0.average": (4500, "mW"),
    }  # fmt: skip


def test_a_thor_tells_peaks_and_may_tell_no_load_of_its_gpu() -> None:
    found = said(THOR)
    assert {name: value for name, (value, _) in found.items() if name.startswith("gr3d")} == {
        "gr3d.on": 1, "gr3d.0.frequency": 1500, "gr3d.1.frequency": 1400,
    }  # fmt: skip
    assert (found["emc.frequency"], "emc.used" in found) == ((4200, "MHz"), False)
    assert (found["nvenc0.frequency"], found["vic.used"]) == ((1600, "MHz"), (12, "%"))
    assert (found["temperature.cpu"], found["temperature.cpu.peak"]) == ((58.25, "C"), (61.75, "C"))
    assert ("temperature.tj" in found, found["temperature.tj.peak"]) == (False, (66.5, "C"))
    assert [found[f"power.vdd_gpu{what}"][0] for what in ("", ".average", ".peak")] == [
        37000, 8000, 38000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("GR3D_FREQ 9%@[764, 0]", {"used": 9, "0.frequency": 764, "1.frequency": 0}),
        ("GR3D_FREQ 9 %@[764,700]", {"used": 9, "0.frequency": 764, "1.frequency": 700}),
        ("GR3D_FREQ @[0,0,0]", {f"{n}.frequency": 0 for n in range(3)}),
        ("GR3D_FREQ @[N/A,200,]", {"1.frequency": 200}),
        ("GR3D_FREQ 9%@[510]", {"used": 9, "frequency": 510}),
        ("GR3D_FREQ 9%@305", {"used": 9, "frequency": 305}),
        ("GR3D_FREQ 9%", {"used": 9}),
        ("GR3D_FREQ @318", {"frequency": 318}),
    ],
)
def test_a_gpu_in_every_form_that_was_seen(text: str, wanted: dict[str, float]) -> None:
    found = {name.removeprefix("gr3d."): value for name, (value, _) in said(text).items()}
    assert found == {"on": 1} | wanted


def test_a_xavier() -> None:
    found = said(XAVIER)
    assert (found["gr3d.frequency"], found["vic.frequency"]) == ((510, "MHz"), (601, "MHz"))
    assert (found["mts.foreground"], found["mts.background"]) == ((1, "%"), (2, "%"))
    assert (found["power.vdd_in"], found["power.vdd_in.average"]) == ((5046, "mW"), (5040, "mW"))
    assert (found["temperature.aux"], found["temperature.gpu"]) == ((39, "C"), (37.5, "C"))


def test_a_tx1() -> None:
    found = said(TX1)
    assert [found[f"iram.{what}"] for what in ("used", "total", "lfb")] == [
        (0, "kB"), (252, "kB"), (252, "kB"),
    ]  # fmt: skip
    assert (found["power.vdd_in"], found["power.vdd_cpu.average"]) == ((2532, "mW"), (178, "mW"))
    assert (found["gr3d.used"], found["gr3d.frequency"]) == ((5, "%"), (76, "MHz"))


def test_the_oldest_form_has_one_frequency_for_all_cores() -> None:
    found = said(OLDEST)
    assert [found[f"cpu.{n}.frequency"] for n in (0, 1)] == [(408, "MHz")] * 2
    assert (found["cpu.1.used"], found["gr3d.used"]) == ((13, "%"), (39, "%"))


def test_a_nano() -> None:
    found = said(NANO)
    assert found["ram.lfb"] == (512, "kB")
    assert (found["emc.used"], "emc.frequency" in found) == ((0, "%"), False)
    assert (found["power.pom_5v_in"], found["power.pom_5v_gpu"]) == ((2353, "mW"), (0, "mW"))
    assert (found["power.vdd_sys"], "power.vdd_sys.average" in found) == ((1234, "mW"), False)
    assert found["msenc.frequency"] == (115, "MHz")


def test_what_is_of_no_known_form_is_handed_back_and_costs_the_rest_nothing() -> None:
    readings, unread = parse("RAM 1/2MB wat 7%% CPU [x] APE 25")
    assert unread == ["wat", "7%%"]
    assert [r.metric for r in readings if r.metric.startswith("jetson.a")] == [
        "jetson.ape.on", "jetson.ape.frequency",
    ]  # fmt: skip
    assert Reading("jetson.cpu.0.online", 0.0) in readings


@given(st.text(st.sampled_from("RAMCPU 019%@[],/()-mWCoff\n"), max_size=60))
def test_no_line_whatever_raises(text: str) -> None:
    readings, _ = parse(text)
    assert all(reading.metric.startswith("jetson.") for reading in readings)


def test_a_line_without_end_is_cut() -> None:
    readings, _ = parse("APE 25 " * LONGEST)
    assert len(readings) < LONGEST


def test_a_machine_without_the_program_tells_nothing() -> None:
    assert command(1.0, lambda _: None) is None
    assert command(0.5, lambda name: f"/usr/bin/{name}") == [
        "/usr/bin/tegrastats", "--interval", "500",
    ]  # fmt: skip
    assert list(Tegra(None).read()) == []


def test_each_line_of_the_program_is_read_once(tmp_path: Path) -> None:
    script = tmp_path / "lines.py"
    script.write_text(
        "import sys, time\nsys.stdout.buffer.write(b'\\xff\\n')\n"
        f"print({NANO!r}, flush=True)\ntime.sleep(60)\n",
        "utf-8",
    )
    tegra = Tegra([sys.executable, str(script)])
    readings: list[Reading] = []

    def heard() -> bool:
        readings.extend(tegra.read())
        return bool(readings)

    until(heard)
    assert readings == parse(NANO)[0]
    assert list(tegra.read()) == []
    process = tegra._process
    assert process is not None
    tegra.close()
    process.wait(10)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
