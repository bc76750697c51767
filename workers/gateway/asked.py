"""What a call asks: wishes from headers and body, and the request that it becomes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from processors.routing.inputs import not_finite, remedy_of
from schemas.conditions import checked, read, spelled
from schemas.errors import InvalidEvent
from schemas.graphs import Stage, TensorSpec
from schemas.identity import stable_id
from schemas.inference import InferenceRequest
from schemas.records import KeyValue, Tensor
from schemas.registrations import ApplicationRegistered
from workers.gateway.access import Caller
from workers.gateway.refusals import Refusal
from workers.settings_section import Section

LONGEST_MS = 600_000
MOST_PRIORITY = 1_000
_HEADERS = {
    "Weir-Deadline-Ms": "deadline_ms",
    "Weir-Priority": "priority",
    "Weir-Contract": "contract",
    "Weir-Explain": "explain",
    "Weir-User": "user",
    "Weir-Conditions": "conditions",
    "Idempotency-Key": "key",
    "traceparent": "trace",
}
_Name = Annotated[str, Field(max_length=200)]


def _conditions(told: Any) -> tuple[KeyValue, ...]:
    """Return conditions from a text, `light=night, camera=3`, or an object of texts and numbers."""
    try:
        if isinstance(told, str):
            return read(one for one in told.split(",") if one.strip())
        if isinstance(told, dict) and all(type(one) in (str, int) for one in told.values()):
            return checked(spelled((name, str(value)) for name, value in told.items()))
    except InvalidEvent as error:
        raise ValueError(str(error)) from error
    raise ValueError("it is neither light=night,camera=3 nor an object of texts and whole numbers")


_Conditions = Annotated[tuple[KeyValue, ...], BeforeValidator(_conditions)]


class Wishes(Section):
    """How an answer is wanted; headers say more than the `parameters` of a body."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    deadline_ms: int | None = Field(default=None, ge=1, le=LONGEST_MS)
    priority: int = Field(default=0, ge=-MOST_PRIORITY, le=MOST_PRIORITY)
    contract: _Name = ""
    explain: bool = False
    user: _Name = ""
    conditions: _Conditions = ()
    key: _Name = ""
    trace: _Name = ""


_WISHES: TypeAdapter[Wishes] = TypeAdapter(Wishes)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body asks: its inputs, its `parameters`, and for the protocol's answer `form`."""

    inputs: tuple[Tensor, ...]
    parameters: Mapping[str, Any]
    form: Any = None


def wishes_of(headers: Mapping[str, str], parameters: Mapping[str, Any]) -> Wishes:
    """Return the wishes of a call. Raises Refusal, naming the header or parameter."""
    told = {name: headers[header] for header, name in _HEADERS.items() if header in headers}
    try:
        return _WISHES.validate_python({**parameters, **told})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "parameters"
        header = next((h for h, name in _HEADERS.items() if name == field and h in headers), "")
        where = header or f"parameters.{field}"
        why = first["msg"].removeprefix("Value error, ")
        raise Refusal(400, why, where, "send what the page at /docs says") from error


def request_of(
    app: ApplicationRegistered,
    asked: Asked,
    wishes: Wishes,
    caller: Caller,
    *,
    new_id: str,
    usual_ms: int,
    now_ms: int,
) -> InferenceRequest:
    """Return the request of a call; calls with one key, consumer and application are one."""
    key = wishes.key
    request_id = stable_id("gateway", caller.consumer, app.app, key) if key else new_id
    return InferenceRequest(
        request_id=request_id,
        app=app.app,
        consumer=caller.consumer,
        contract=wishes.contract,
        priority=wishes.priority,
        created_at=now_ms,
        deadline=now_ms + (wishes.deadline_ms or usual_ms),
        inputs=asked.inputs,
        trace=wishes.trace or None,
        source_kind="http",
        explain=wishes.explain,
        user=wishes.user,
        idempotency_key=key,
        conditions=wishes.conditions,
    )


def entry_stages(app: ApplicationRegistered) -> list[Stage]:
    """Return the stages that take what a request brings."""
    return [stage for stage in app.stages if not stage.inputs]


def taken(app: ApplicationRegistered) -> dict[str, TensorSpec]:
    """Return the tensors that an application takes, by name; nothing when it does not say."""
    return {spec.name: spec for stage in entry_stages(app) for spec in stage.takes}


def given(app: ApplicationRegistered) -> dict[str, TensorSpec]:
    """Return the tensors that an application's last stages give, by name, where it says so."""
    read = {name for stage in app.stages for name in stage.inputs}
    return {
        spec.name: spec for stage in app.stages if stage.stage not in read for spec in stage.gives
    }


def check_inputs(app: ApplicationRegistered, inputs: tuple[Tensor, ...]) -> None:
    """Refuse inputs that an application cannot take: by what it says, or for their values."""
    if not inputs:
        raise Refusal(400, "a request needs at least one input", "inputs", "send tensors by name")
    if len({tensor.name for tensor in inputs}) != len(inputs):
        raise Refusal(400, "two inputs have one name", "inputs", "send each input once")
    specs = taken(app)
    given = {tensor.name: tensor for tensor in inputs}
    missing = [name for name in specs if name not in given]
    if missing:
        told = ", ".join(_words(spec) for spec in specs.values())
        raise Refusal(
            400, f"input {missing[0]} is missing", f"inputs.{missing[0]}", f"{app.app} takes {told}"
        )
    for name, spec in specs.items():
        tensor = given[name]
        if tensor.dtype != spec.dtype or not _fits(tensor.shape, spec.shape):
            found = _words(TensorSpec(name=name, dtype=tensor.dtype, shape=tensor.shape))
            raise Refusal(
                400, f"it is {found}", f"inputs.{name}", f"{app.app} takes {_words(spec)}"
            )
    if strange := not_finite(inputs, app):
        name, what = strange
        raise Refusal(400, what, f"inputs.{name}", remedy_of(app))


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether a shape is the wanted one; a missing first dimension is added by workers."""
    if not wanted:
        return True
    for expected in (wanted, wanted[1:]):
        if len(shape) == len(expected):
            return all(w < 0 or w == size for size, w in zip(shape, expected, strict=True))
    return False


def _words(spec: TensorSpec) -> str:
    shape = "x".join("?" if size < 0 else str(size) for size in spec.shape)
    return f"{spec.name}: {spec.dtype} {shape or 'of any shape'}"
