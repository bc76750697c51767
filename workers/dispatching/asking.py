"""Asks another worker as local callers do: by the Open Inference Protocol, at its own address."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from schemas.records import Tensor
from workers.dispatching.carrying import Ask
from workers.dispatching.peers import Peer
from workers.runtimes.base import Array, Port
from workers.runtimes.errors import ExecutionFailed
from workers.runtimes.http_link import Link
from workers.runtimes.http_tensors import DATATYPES, array_of

_NAMES: Final = {dtype: name for name, dtype in DATATYPES.items()}


def asking(
    service: str, inputs: Sequence[Tensor], outputs: Sequence[Port], priority: int = 0
) -> Ask[list[Array]]:
    """Return what asks a worker for a service; the answer has an array for each of `outputs`.

    The worker is told how long the answer is waited for, and that it was sent the task, so that
    it does not send it on. What is returned raises RuntimeFailure when the worker does not answer
    in time, has no time itself, or cannot use the inputs.
    """
    given = [_tensor(one) for one in inputs]
    wanted = [{"name": port.name} for port in outputs]

    def ask(peer: Peer, within_ms: float) -> list[Array]:
        link = Link(f"{peer.address.rstrip('/')}/v2/models/{quote(service, safe='')}/infer", {})
        wishes = {"deadline_ms": within_ms, "priority": priority, "forwarded": True}
        message = {"inputs": given, "outputs": wanted, "parameters": wishes}
        answer = link.ask("POST", link.path, message, within_ms)
        try:
            found = {one["name"]: (one["data"], one["shape"]) for one in answer["outputs"]}
            return [array_of(port, *found[port.name]) for port in outputs]
        except (TypeError, KeyError) as error:
            raise ExecutionFailed(f"{link.place}: its answer lacks {error}") from error

    return ask


def _tensor(one: Tensor) -> dict[str, Any]:
    array = np.frombuffer(one.data or b"", np.dtype(one.dtype).newbyteorder("<"))
    return {
        "name": one.name,
        "datatype": _NAMES[one.dtype],
        "shape": list(one.shape),
        "data": array.tolist(),
    }
