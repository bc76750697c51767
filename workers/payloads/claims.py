"""Claim checks: inputs that are too large for an event go to the store, and come from there."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from schemas.checks import INLINE_BYTES, check_shape
from schemas.errors import InvalidEvent
from schemas.inference import InferenceRequest
from schemas.records import Tensor
from workers.payloads.errors import PayloadLost
from workers.payloads.store import SCHEME, PayloadStore

Resolve = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]
"""From the inputs of a task to inputs of which all have their bytes. Raises PayloadLost."""


def claimed(request: InferenceRequest, store: PayloadStore) -> InferenceRequest:
    """Return a request whose inputs of more than 64 kB are stored and named by reference.

    Raises PayloadRefused, and InvalidEvent for bytes that do not fit type and shape.
    """
    if not is_large(request):
        return request
    inputs = tuple(_claimed(tensor, store, request.user) for tensor in request.inputs)
    return replace(request, inputs=inputs)


def is_large(request: InferenceRequest) -> bool:
    """Tell whether inputs of a request are too large for an event."""
    return any(len(tensor.data or b"") > INLINE_BYTES for tensor in request.inputs)


def resolved(inputs: Sequence[Tensor], store: PayloadStore) -> tuple[Tensor, ...]:
    """Return inputs with the bytes that their references name. Raises PayloadLost."""
    return tuple(tensor if tensor.data is not None else _found(tensor, store) for tensor in inputs)


def _claimed(tensor: Tensor, store: PayloadStore, user: str) -> Tensor:
    if tensor.data is None or len(tensor.data) <= INLINE_BYTES:
        return tensor
    check_shape(tensor, f"inputs.{tensor.name}", len(tensor.data))
    digest = store.put(tensor.data, user)
    return replace(tensor, data=None, reference=f"{SCHEME}{digest}", digest=digest)


def _found(tensor: Tensor, store: PayloadStore) -> Tensor:
    reference = tensor.reference or ""
    if not reference.startswith(SCHEME):
        raise PayloadLost(
            f"input {tensor.name} is at {reference!r:.80}; references begin with {SCHEME}"
        )
    digest = reference.removeprefix(SCHEME)
    if tensor.digest != digest:
        raise PayloadLost(f"input {tensor.name}: its reference and its digest differ")
    data = store.get(digest)
    try:
        check_shape(tensor, f"inputs.{tensor.name}", len(data))
    except InvalidEvent as error:
        raise PayloadLost(f"input {tensor.name}: {error}") from error
    return replace(tensor, data=data, reference=None)
