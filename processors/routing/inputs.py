"""Tensors of a request: whether they are what its application takes, and who is given which."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from processors.graphs.tensors import unlike
from processors.routing.plans import Plan, Step
from processors.routing.state import ANSWERED, PARTIAL, Run
from schemas.inference import InferenceRequest
from schemas.records import Tensor
from schemas.registrations import ApplicationRegistered

NAN_ALLOWED = ("nan", "allowed")
"""Tag of an application whose models know what to make of values that are no numbers."""
_FLOATS = ("float16", "float32", "float64")
_CODES: Mapping[str, tuple[str, int]] = {"float32": ("f", 4), "float64": ("d", 8)}
_FEW_BYTES = 1_024
"""So many are summed up before numpy has begun."""


def objection(request: InferenceRequest, app: ApplicationRegistered) -> str:
    """Return what is wrong with the tensors of a request, or ''.

    They must be those that the first stages take, and hold finite numbers.
    """
    if strange := not_finite(request.inputs, app):
        return f"input {strange[0]}: {strange[1]}; {remedy_of(app)}"
    given = {tensor.name: tensor for tensor in request.inputs}
    for stage in app.stages:
        for one in stage.takes if not stage.inputs else ():
            if one.name not in given:
                names = ", ".join(given)
                return f"input {one.name} is missing: stage {stage.stage} takes it; given: {names}"
            tensor = given[one.name]
            if difference := unlike(one, tensor.dtype, tensor.shape):
                return f"input {one.name} is {difference} by stage {stage.stage}"
    return ""


def not_finite(inputs: Iterable[Tensor], app: ApplicationRegistered) -> tuple[str, str] | None:
    """Return the name of a tensor that holds what is no finite number, and how much of it.

    None where there is no such tensor, or the application's models know what to make of it.
    """
    if any(tag.key == NAN_ALLOWED[0] and tag.value == NAN_ALLOWED[1] for tag in app.tags):
        return None
    for tensor in inputs:
        if tensor.dtype in _FLOATS and tensor.data is not None and (bad := _bad(tensor)):
            whole = math.prod(tensor.shape)
            return tensor.name, f"{bad} of its {whole} values are no finite numbers"
    return None


def remedy_of(app: ApplicationRegistered) -> str:
    """Return what to do about values that are no finite numbers."""
    return f"mend them, or tag {app.app} with {'='.join(NAN_ALLOWED)}"


def _bad(tensor: Tensor) -> int:
    """Return how many values are no finite numbers; where the sum of few is one, none is not."""
    data = tensor.data or b""
    code, size = _CODES.get(tensor.dtype, ("", 1)) if len(data) <= _FEW_BYTES else ("", 1)
    if code and math.isfinite(sum(struct.unpack(f"<{len(data) // size}{code}", data))):
        return 0
    values = np.frombuffer(data, np.dtype(tensor.dtype).newbyteorder("<"))
    return int(values.size - np.isfinite(values).sum())


def inputs_of(
    step: Step, plan: Plan, runs: Sequence[Run], request: InferenceRequest
) -> tuple[tuple[Tensor, ...], str]:
    """Return the tensors that the members of a stage get, or none and why not.

    A stage that says what it takes gets that, from the stages before it or else the request.
    Others get all that the stages before them give, and the request's where these give none.
    Tensors by reference are passed on as such.
    """
    before = [
        tensor for number in step.inputs for tensor in _given(plan.steps[number], runs[number])
    ]
    if not step.stage.takes:
        return (tuple(before) or request.inputs), ""
    known = {tensor.name: tensor for tensor in (*request.inputs, *before)}
    missing = [one.name for one in step.stage.takes if one.name not in known]
    if missing:
        return (), f"nobody gave {', '.join(missing)}"
    found = tuple(known[one.name] for one in step.stage.takes)
    for one, tensor in zip(step.stage.takes, found, strict=True):
        if difference := unlike(one, tensor.dtype, tensor.shape):
            return (), f"input {one.name} is {difference}"
    return found, ""


def _given(step: Step, run: Run) -> Iterable[Tensor]:
    """Return what a stage gives: its tensors, else the scores of its classes as one."""
    if run.status not in (ANSWERED, PARTIAL):
        return ()
    if run.outputs:
        return run.outputs
    if not run.scores or not step.stage.gives:
        return ()
    data = np.asarray(run.scores, "<f4").tobytes()
    name = step.stage.gives[0].name
    return (Tensor(name=name, dtype="float32", shape=(len(run.scores),), data=data),)
