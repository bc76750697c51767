"""Claim checks: tensors that are too large for an event go to the store, and come from there."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from schemas.checks import INLINE_BYTES, check_shape
from schemas.errors import InvalidEvent
from schemas.inference import InferenceRequest
from schemas.records import Tensor
from workers.payloads.errors import PayloadLost, PayloadRefused
from workers.payloads.store import SCHEME, PayloadStore

Resolve = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]
"""From the inputs of a task to inputs of which all have their bytes. Raises PayloadLost."""
Keep = Callable[[Sequence[Tensor], str], tuple[Tensor, ...]]
"""From tensors and whose they are to tensors that an event can carry. Raises PayloadRefused."""


def inline(tensors: Sequence[Tensor], _: str) -> tuple[Tensor, ...]:
    """Return tensors as they are where there is no store. Raises PayloadRefused for large ones."""
    for tensor in tensors:
        if _is_large(tensor):
            raise PayloadRefused(
                f"{tensor.name} has {len(tensor.data or b'')} bytes; at most {INLINE_BYTES} go "
                "inline, and there is no store for more"
            )
    return tuple(tensors)


def kept(tensors: Sequence[Tensor], user: str, store: PayloadStore) -> tuple[Tensor, ...]:
    """Return tensors of which those of more than 64 kB are stored and named by reference.

    They are `user`'s, to be erased with him. Raises PayloadRefused.
    """
    return tuple(_stored(each, store, user) if _is_large(each) else each for each in tensors)


def claimed(request: InferenceRequest, store: PayloadStore) -> InferenceRequest:
    """Return a request whose inputs of more than 64 kB are stored and named by reference.

    Raises PayloadRefused, and InvalidEvent for bytes that do not fit type and shape.
    """
    if not is_large(request):
        return request
    for tensor in filter(_is_large, request.inputs):
        check_shape(tensor, f"inputs.{tensor.name}", len(tensor.data or b""))
    return replace(request, inputs=kept(request.inputs, request.user, store))


def is_large(request: InferenceRequest) -> bool:
    """Tell whether inputs of a request are too large for an event."""
    return any(map(_is_large, request.inputs))


def is_whole(tensors: Sequence[Tensor]) -> bool:
    """Tell whether all tensors have their bytes with them."""
    return all(tensor.data is not None for tensor in tensors)


def resolved(tensors: Sequence[Tensor], store: PayloadStore) -> tuple[Tensor, ...]:
    """Return tensors with the bytes that their references name. Raises PayloadLost."""
    return tuple(each if each.data is not None else _found(each, store) for each in tensors)


def _is_large(tensor: Tensor) -> bool:
    return len(tensor.data or b"") > INLINE_BYTES


def _stored(tensor: Tensor, store: PayloadStore, user: str) -> Tensor:
    digest = store.put(tensor.data or b"", user)
    return replace(tensor, data=None, reference=f"{SCHEME}{digest}", digest=digest)


def _found(tensor: Tensor, store: PayloadStore) -> Tensor:
    reference = tensor.reference or ""
    if not reference.startswith(SCHEME):
        raise PayloadLost(
            f"tensor {tensor.name} is at {reference!r:.80}; references begin with {SCHEME}"
        )
    digest = reference.removeprefix(SCHEME)
    if tensor.digest != digest:
        raise PayloadLost(f"tensor {tensor.name}: its reference and its digest differ")
    data = store.get(digest)
    try:
        check_shape(tensor, f"inputs.{tensor.name}", len(data))
    except InvalidEvent as error:
        raise PayloadLost(f"tensor {tensor.name}: {error}") from error
    return replace(tensor, data=data, reference=None)
