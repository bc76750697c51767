"""What the frames of a service hold: drawn numbers, or what is read from files; checked first."""

from pathlib import Path

from schemas.records import Tensor
from workers.inference.errors import UnusableInput
from workers.inference.tensors import prepare
from workers.runtimes.base import Signature
from workers.sources.errors import UnusableSource
from workers.sources.forms import Form, size_of
from workers.sources.frames import Source, source_of
from workers.standalone.config import Files, Service
from workers.standalone.drawn import MOST_BYTES, drawn
from workers.standalone.errors import RunRefused

Frames = list[tuple[Tensor, ...]]


def frames_of(
    service: Service, signature: Signature, seed: int, folder: Path, where: str
) -> Frames:
    """Return the inputs of a service's frames, which take turns; each fits the model.

    `folder` is where the file of the run stands, `where` names the service's input in messages.
    Raises RunRefused.
    """
    given = service.input
    if isinstance(given, Files):
        frames = _read(given, signature, folder, where)
    else:
        frames = drawn(given, signature, seed, service.name, where)
    for number, frame in enumerate(frames):
        try:
            prepare(frame, signature)
        except UnusableInput as error:
            raise RunRefused(
                f"{where}: frame {number} does not fit {service.model.artifact}: {error}; give "
                "other files, or say size, gray, scaled, channels_first or columns"
            ) from error
    return frames


def _read(given: Files, signature: Signature, folder: Path, where: str) -> Frames:
    if len(signature.inputs) != 1:
        names = ", ".join(port.name for port in signature.inputs)
        raise RunRefused(
            f"{where}.kind: files give one input, and the model takes {len(signature.inputs)} "
            f"({names}); say synthetic"
        )
    try:
        form = Form(
            tensor=signature.inputs[0].name,
            size=size_of(given.size) if given.size else None,
            gray=given.gray,
            scaled=given.scaled,
            channels_first=given.channels_first,
            most_bytes=MOST_BYTES,
        )
        return _taken(source_of(folder / given.path, given.columns, form), given.most)
    except UnusableSource as error:
        raise RunRefused(f"{where}.path: {error}") from error


def _taken(source: Source, most: int) -> Frames:
    """Return the first frames of a source; one that repeats a single frame gives that."""
    frames: Frames = []
    taken = 0
    for number in range(1 if source.kind == "image" else most):
        frame = source.frame(number)
        taken += 0 if frame is None else sum(len(one.data or b"") for one in frame.inputs)
        if frame is None or taken > MOST_BYTES:
            break
        frames.append(frame.inputs)
    if not frames:
        raise UnusableSource("it holds no frame")
    return frames
