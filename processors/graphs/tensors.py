"""Whether what a stage takes is what the stages before it, and the models in it, say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from processors.graphs.problems import Problem
from schemas.checks import ELEMENT_BYTES
from schemas.graphs import Stage, TensorSpec
from schemas.registrations import ModelPublished, ServiceRegistered

FREE = -1


def unlike(wanted: TensorSpec, dtype: str, shape: Sequence[int]) -> str:
    """Return how an element type and a shape differ from what is wanted; '' when they do not.

    -1 stands for any size. One of them may have a leading dimension more, of a batch.
    """
    if wanted.dtype != dtype:
        return f"{dtype} where {wanted.dtype} is taken"
    longer, shorter = sorted((tuple(wanted.shape), tuple(shape)), key=len, reverse=True)
    if len(longer) == len(shorter) + 1:
        longer = longer[1:]
    if len(longer) == len(shorter) and all(
        one == other or FREE in (one, other) for one, other in zip(longer, shorter, strict=True)
    ):
        return ""
    return f"{_written(shape)} where {_written(wanted.shape)} is taken"


def _written(shape: Sequence[int]) -> str:
    return "x".join("?" if size == FREE else str(size) for size in shape) or "a single number"


def tensor_problems(stages: Sequence[Stage]) -> Iterator[Problem]:
    """Yield tensors that no stage before and no request gives, or that are of another type."""
    by_name = {stage.stage: stage for stage in stages}
    asked = {one.name: one for stage in stages if not stage.inputs for one in stage.takes}
    for number, stage in enumerate(stages):
        yield from _types((*stage.takes, *stage.gives), f"stages[{number}]")
        before = [by_name[name] for name in stage.inputs if name in by_name]
        given: dict[str, tuple[str, TensorSpec]] = {}
        for other in before:
            for one in other.gives:
                if one.name in given:
                    what = f"{given[one.name][0]} and {other.stage} both give {one.name!r}"
                    yield Problem(f"stages[{number}].inputs", what, "rename one of the tensors")
                given.setdefault(one.name, (other.stage, one))
        if not stage.inputs:
            known = {name: ("the request", one) for name, one in asked.items()}
        else:
            known = {name: ("the request", one) for name, one in asked.items()} | given
        open_ended = any(not other.gives for other in before)
        for place, one in enumerate(stage.takes):
            yield from _taken(one, f"stages[{number}].takes[{place}]", known, open_ended)


def _types(tensors: Iterable[TensorSpec], where: str) -> Iterator[Problem]:
    for one in tensors:
        if one.dtype not in ELEMENT_BYTES:
            what = f"tensor {one.name!r} has the element type {one.dtype!r}"
            yield Problem(where, what, f"write one of {', '.join(ELEMENT_BYTES)}")


def _taken(
    one: TensorSpec,
    where: str,
    known: Mapping[str, tuple[str, TensorSpec]],
    open_ended: bool,
) -> Iterator[Problem]:
    if one.name not in known:
        if not open_ended:
            given = ", ".join(known) or "nothing"
            what = f"no input gives {one.name!r}; given: {given}"
            yield Problem(where, what, "add the stage that gives it to the inputs")
        return
    source, given_one = known[one.name]
    difference = unlike(one, given_one.dtype, given_one.shape)
    if difference:
        yield Problem(where, f"{source} gives {one.name!r} as {difference}", "convert it before")


def model_problems(
    stages: Sequence[Stage],
    services: Mapping[str, ServiceRegistered],
    models: Mapping[str, ModelPublished],
) -> Iterator[Problem]:
    """Yield where a stage takes or gives something else than a published model in it."""
    for number, stage in enumerate(stages):
        for place, name in enumerate(stage.services):
            service = services.get(name)
            model = models.get(service.model) if service is not None else None
            if model is not None:
                yield from _model(stage, model, f"stages[{number}].services[{place}]")


def _model(stage: Stage, model: ModelPublished, where: str) -> Iterator[Problem]:
    title = f"model {model.model} {model.version}"
    for declared, own, verb in (
        (stage.takes, model.inputs, "takes"),
        (stage.gives, model.outputs, "gives"),
    ):
        ports = {one.name: one for one in own}
        for one in declared if own else ():
            port = ports.get(one.name)
            if port is None:
                if verb == "takes" and len(own) == 1:
                    continue  # a model with one input takes the tensor whatever its name
                what = f"{title} {verb} no tensor {one.name!r}; it {verb} {', '.join(ports)}"
                yield Problem(where, what, "rename it, or use another model")
            elif difference := unlike(port, one.dtype, one.shape):
                what = f"{title}, tensor {one.name!r}: the stage says {difference}"
                yield Problem(where, what, "say what the model does, or use another")
    taken = {one.name for one in stage.takes}
    for one in model.inputs if taken and len(model.inputs) > 1 else ():
        if one.name not in taken:
            what = f"{title} needs the tensor {one.name!r}, which the stage does not take"
            yield Problem(where, what, "add it to takes")
