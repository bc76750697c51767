"""Lines of NVIDIA's `tegrastats`, as all generations of Jetson write them, to readings. Pure.

Source of the fields: Jetson Linux Developer Guide, "tegrastats utility" (R28 to R39). Metrics are
named jetson.<what>: of RAM, SWAP and IRAM the use, total and largest free block; of each core its
load in % relative to its present frequency, that frequency in MHz, and whether it is online; of
EMC, GR3D (GPU) and the other engines load, frequency (of a GPU with several GPCs that of each) and
whether they are on; temperatures in degrees Celsius, now and the highest (R39); power in mW, now,
on average since tegrastats began, and the highest (R39).
"""

import re
from collections.abc import Callable, Iterator

from workers.agent.readings import Reading

OFF_SENSOR_C = -256
"""What a sensor shows whose part of the chip has no power: no temperature."""
LONGEST = 8192
"""Characters of a line that are looked at."""

_STAMP = re.compile(r"\d{2}-\d{2}-\d{4} \d{2}:\d{2}:\d{2}")
_MEMORY = re.compile(
    r"(?P<name>RAM|SWAP|IRAM) (?P<used>\d+)/(?P<total>\d+)(?P<unit>[kM]B)"
    r"(?: ?\((?:lfb (?:(?P<blocks>\d+)x)?(?P<lfb>\d+)(?P<lfb_unit>[kM]B)"
    r"|cached (?P<cached>\d+)[kM]B)\))?"
)
_CPU = re.compile(r"(?:CPU|cpu) \[(?P<cores>[^\]]*)\](?:@(?P<common>\d+))?")
_MTS = re.compile(r"MTS fg (?P<fg>\d+)% bg (?P<bg>\d+)%")
_TEMPERATURE = re.compile(
    r"(?P<name>[A-Za-z][\w-]*)@(?P<value>-?\d+(?:\.\d+)?)C(?:/(?P<peak>-?\d+(?:\.\d+)?)C)?"
)
_POWER = re.compile(
    r"(?P<name>[A-Za-z][\w-]*) (?P<now>\d+)(?P<unit>mW|)"
    r"(?:/(?P<mean>\d+)(?P=unit)(?:/(?P<peak>\d+)(?P=unit))?|(?<=mW))"
)
_ENGINE = re.compile(
    r"(?P<name>[A-Z][A-Z0-9]*)(?:_FREQ|_LOAD)? "
    r"(?:(?P<off>off|OFF)|(?P<used>\d+) ?%(?:@(?:\[(?P<each>[^\]]*)\]|(?P<clock>\d+)))?"
    r"|@\[(?P<alone>[^\]]*)\]|@?(?P<bare>\d+))(?=\s|$)"
)
_CORE = re.compile(r"(?P<used>\d+)%(?:@(?P<clock>\d+))?")
_NUMBER = re.compile(r"\d+")


def parse(line: str) -> tuple[list[Reading], list[str]]:
    """Return the readings of a line, and the pieces of it that are of no known form."""
    rest = line[:LONGEST].strip()
    readings: list[Reading] = []
    unread: list[str] = []
    while rest:
        for pattern, read in _FORMS:
            found = pattern.match(rest)
            if found:
                readings.extend(read(found))
                rest = rest[found.end() :].lstrip()
                break
        else:
            piece, _, rest = rest.partition(" ")
            rest = rest.lstrip()
            unread.append(piece)
    return readings, unread


def _memory(found: re.Match[str]) -> Iterator[Reading]:
    name, unit = f"jetson.{found['name'].lower()}", found["unit"]
    yield Reading(f"{name}.used", float(found["used"]), unit)
    yield Reading(f"{name}.total", float(found["total"]), unit)
    if found["lfb"] is not None:
        yield Reading(f"{name}.lfb", float(found["lfb"]), found["lfb_unit"])
    if found["blocks"] is not None:
        yield Reading(f"{name}.lfb_blocks", float(found["blocks"]), "1")
    if found["cached"] is not None:
        yield Reading(f"{name}.cached", float(found["cached"]), unit)


def _cpu(found: re.Match[str]) -> Iterator[Reading]:
    for number, text in enumerate(found["cores"].split(",")):
        name, core = f"jetson.cpu.{number}", _CORE.fullmatch(text.strip())
        yield Reading(f"{name}.online", float(core is not None))
        if core is None:
            continue
        yield Reading(f"{name}.used", float(core["used"]), "%")
        clock = core["clock"] or found["common"]
        if clock is not None:
            yield Reading(f"{name}.frequency", float(clock), "MHz")


def _mts(found: re.Match[str]) -> Iterator[Reading]:
    yield Reading("jetson.mts.foreground", float(found["fg"]), "%")
    yield Reading("jetson.mts.background", float(found["bg"]), "%")


def _temperature(found: re.Match[str]) -> Iterator[Reading]:
    name = f"jetson.temperature.{found['name'].lower()}"
    for metric, text in ((name, found["value"]), (f"{name}.peak", found["peak"])):
        if text is not None and float(text) > OFF_SENSOR_C:
            yield Reading(metric, float(text), "C")


def _power(found: re.Match[str]) -> Iterator[Reading]:
    if found["name"] == "NC":  # a channel of the sensor that is not connected
        return
    name = f"jetson.power.{found['name'].lower()}"
    yield Reading(name, float(found["now"]), "mW")
    for metric, text in ((f"{name}.average", found["mean"]), (f"{name}.peak", found["peak"])):
        if text is not None:
            yield Reading(metric, float(text), "mW")


def _engine(found: re.Match[str]) -> Iterator[Reading]:
    name = f"jetson.{found['name'].lower()}"
    yield Reading(f"{name}.on", float(found["off"] is None))
    if found["used"] is not None:
        yield Reading(f"{name}.used", float(found["used"]), "%")
    told = (found[what] for what in ("each", "alone", "clock", "bare"))
    clocks = next((text for text in told if text is not None), "").split(",")
    for number, clock in enumerate(clocks):
        if _NUMBER.fullmatch(clock.strip()):  # a part of the GPU may be off
            part = name if len(clocks) == 1 else f"{name}.{number}"
            yield Reading(f"{part}.frequency", float(clock), "MHz")


def _nothing(_: re.Match[str]) -> Iterator[Reading]:
    yield from ()


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator[Reading]]], ...] = (
    (_STAMP, _nothing),
    (_MEMORY, _memory),
    (_CPU, _cpu),
    (_MTS, _mts),
    (_TEMPERATURE, _temperature),
    (_POWER, _power),
    (_ENGINE, _engine),
)
"""Forms in the order in which they are tried; a rail is told from an engine by its slash or mW."""
