"""How an engine is built, and what makes it another engine. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from workers.runtimes.base import Port
from workers.runtimes.errors import BrokenModel
from workers.settings_section import Section


class EngineOptions(Section):
    """Options of a model that TensorRT builds.

    `profile` gives the shapes of an input, smallest, usual, largest, such as
    `runtime.profile.x = 1x3x224x224,8x3x224x224,32x3x224x224`; an input of which the number of
    rows alone is open needs none. `calibration` is a file of numpy arrays (npz) by input, whose
    rows calibrate int8.
    """

    precision: Literal["model", "fp16", "int8"] = "model"
    workspace_mib: int = Field(default=1024, ge=1)
    rows: str = Field(default="1,8,32", pattern=r"^\d+,\d+,\d+$")
    profile: dict[str, str] = Field(default={})
    calibration: str = ""


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of one input for which an engine is built."""

    smallest: tuple[int, ...]
    usual: tuple[int, ...]
    largest: tuple[int, ...]


def engine_key(model: str, gpu: str, version: str, calibration: str, own: EngineOptions) -> str:
    """Return what an engine is kept under; `model` and `calibration` are SHA-256 of files."""
    told = "\n".join((model, gpu, version, calibration, own.model_dump_json()))
    return hashlib.sha256(told.encode()).hexdigest()


def shapes_of(port: Port, own: EngineOptions) -> Shapes | None:
    """Return the shapes of an input; None when nothing of it is open. Raises BrokenModel."""
    if None not in port.shape:
        return None
    text = own.profile.get(port.name)
    if text is None:
        if None in port.shape[1:]:
            raise BrokenModel(
                f"input {port.name} has open sizes: give runtime.profile.{port.name}, such as "
                "1x3x224x224,8x3x224x224,32x3x224x224"
            )
        rest = "".join(f"x{size}" for size in port.shape[1:])
        text = ",".join(f"{rows}{rest}" for rows in own.rows.split(","))
    return _parsed(port, text)


def _parsed(port: Port, text: str) -> Shapes:
    where = f"runtime.profile.{port.name} {text!r}"
    try:
        shapes = [tuple(int(size) for size in part.split("x")) for part in text.split(",")]
    except ValueError as error:
        raise BrokenModel(f"{where}: {error}") from error
    if len(shapes) != 3 or any(len(shape) != len(port.shape) for shape in shapes):
        raise BrokenModel(f"{where}: give three shapes of {len(port.shape)} sizes each")
    for sizes in zip(*shapes, strict=True):
        if not 1 <= sizes[0] <= sizes[1] <= sizes[2]:
            raise BrokenModel(f"{where}: sizes must not fall from smallest to usual to largest")
    for shape in shapes:
        for size, fixed in zip(shape, port.shape, strict=True):
            if fixed not in (None, size):
                raise BrokenModel(f"{where}: the model fixes {fixed} where {size} stands")
    return Shapes(*shapes)
