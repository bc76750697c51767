"""What a run says: services with models, sources and bounds, and in which mode. Pure.

The JSON schema of the file is `Run.model_json_schema()`. Times are ms, those of arrivals from the
beginning of the run.
"""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from workers.simulation import parts
from workers.simulation.fields import Listed, Ms, Part
from workers.simulation.parts import File, Name, Serving, Whole

MOST_FRAMES = 20_000_000
Text = Annotated[str, Field(min_length=1, max_length=2_000)]
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_SIZE = re.compile(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}")


class Model(Part):
    """What is executed."""

    artifact: Annotated[
        Text,
        Field(
            description="a path, from the folder of this file, or a URI: file, http, https, s3; "
            "what is remote needs its digest, here or behind '#sha256='"
        ),
    ]
    digest: Annotated[str | None, Field(description="SHA-256 of the file, in hexadecimal")] = None
    format: Annotated[
        Name,
        Field(description="onnx, open-inference, plain-json, tensorrt, tensorrt-engine or another"),
    ] = "onnx"
    device: Annotated[Name, Field(description="cpu, cuda or tensorrt")] = "cpu"
    options: Annotated[
        dict[Text, Annotated[str, Field(max_length=2_000)]],
        Field(
            default_factory=dict,
            description="of its runtime, such as threads = '2' for runtime.threads",
        ),
    ]

    @field_validator("digest")
    @classmethod
    def _hexadecimal(cls, found: str | None) -> str | None:
        if found is not None and not _DIGEST.fullmatch(found):
            raise ValueError("a SHA-256 is 64 hexadecimal digits; `sha256sum FILE` prints it")
        return found


class Synthetic(Part):
    """Numbers drawn from the seed, in the shape that the model takes; whole numbers are 0 or 1."""

    kind: Literal["synthetic"] = "synthetic"
    different: Annotated[
        int, Field(ge=1, le=1_000, description="so many frames, which take turns")
    ] = 16
    open_size: Annotated[
        int, Field(ge=1, le=100_000, description="size of dimensions that the model leaves open")
    ] = 1


class Files(Part):
    """An image, an array (npy), a folder of them, a table (csv) or a video.

    Frames are read before the run begins, so that it measures the worker and not the disk; of all
    together at most 1 GiB.
    """

    kind: Literal["files"]
    path: Annotated[Text, Field(description="from the folder of this file")]
    most: Annotated[int, Field(ge=1, le=10_000, description="so many are read, and take turns")] = (
        64
    )
    columns: Annotated[Listed[Text], Field(description="of a table; all by default")] = ()
    size: Annotated[str, Field(description="of pictures: WIDTHxHEIGHT, in pixels")] = ""
    gray: Annotated[bool, Field(description="one value a pixel")] = False
    scaled: Annotated[bool, Field(description="pixels as float32 from 0 to 1")] = False
    channels_first: Annotated[bool, Field(description="(channels, rows, columns)")] = False

    @field_validator("size")
    @classmethod
    def _of_pictures(cls, found: str) -> str:
        if found and not _SIZE.fullmatch(found):
            raise ValueError("write WIDTHxHEIGHT in pixels, such as 160x120")
        return found


Input = Annotated[Synthetic | Files, Field(discriminator="kind")]


class Batching(parts.Batching):
    """What may be executed together, where the model takes several tasks at once."""

    max: Annotated[Whole, Field(description="most frames of a batch")] = 32


class Service(Serving):
    """One model of the worker, and where its work comes from."""

    model: Annotated[Model, Field(description="what is executed")]
    input: Annotated[Input, Field(description="what its frames hold")] = Synthetic()
    priority: Annotated[
        int, Field(ge=0, le=1_000, description="larger is more important; see priority_weight")
    ] = 0
    batch: Annotated[Batching, Field(description="what may be executed together")] = Batching()
    declared_ms: Annotated[
        Ms | None, Field(description="what an execution of one frame is said to take, ms")
    ] = None


class Worker(Part):
    """Bounds of the whole worker, and how it decides."""

    order: Annotated[
        Name, Field(description="fifo, priority-edf, least-laxity, mapscore, weir or a plug-in's")
    ] = "weir"
    queue_tasks: Annotated[Whole, Field(description="bound of all queues in frames")] = 1_000
    queue_ms: Annotated[
        Ms | None, Field(description="bound of all queues in predicted work, ms")
    ] = None
    admit: Annotated[
        bool, Field(description="without, nobody is refused for a predicted end that is late")
    ] = True
    spare: Annotated[
        bool, Field(description="take on less while the machine is hot or short of memory")
    ] = True
    priority_weight: Annotated[
        float,
        Field(
            ge=1, le=1e6, description="an answer is worth so many times one of the next priority"
        ),
    ] = 10.0


class Mode(Part):
    """How hard the worker is driven."""

    load: Annotated[
        float, Field(gt=0, le=1_000, description="frames come so many times as often as written")
    ] = 1.0
    duration_ms: Annotated[Ms | None, Field(description="in place of the run's own, ms")] = None
    local: Annotated[
        bool,
        Field(
            description="refuse what is not of this device: models by network, and input "
            "that is drawn"
        ),
    ] = False


MODES = {
    "normal": Mode(),
    "overload": Mode(load=3.0),
    "sustained": Mode(load=1.5, duration_ms=60_000.0),
    "device-local": Mode(local=True),
}
"""Modes that every run has, unless it says something else of them."""


class Run(File):
    """Services on one device that executes one batch at a time, without preemption."""

    description: Annotated[str, Field(max_length=2_000, description="what it is for")] = ""
    seed: Annotated[int, Field(ge=0, lt=1 << 31, description="of arrivals and inputs")] = 0
    duration_ms: Annotated[
        Ms, Field(description="frames arrive before this instant; what waits is then worked off")
    ] = 10_000.0
    mode: Annotated[
        Name, Field(description="normal, overload, sustained, device-local or one of modes")
    ] = "normal"
    modes: Annotated[
        dict[Name, Mode],
        Field(default_factory=dict, description="further modes, or others of a name"),
    ]
    worker: Annotated[Worker, Field(description="bounds of the whole worker")] = Worker()
    services: Annotated[
        Listed[Service], Field(min_length=1, max_length=1_000, description="one entry for each")
    ]

    def known_modes(self) -> dict[str, Mode]:
        """Return all modes by name."""
        return MODES | self.modes

    def lasts_ms(self, mode: Mode) -> float:
        """Return before which instant frames arrive, ms."""
        return mode.duration_ms or self.duration_ms
