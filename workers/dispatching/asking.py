"""Asks another worker as local callers do: by the Open Inference Protocol, at its own address."""

from collections.abc import Sequence
from urllib.parse import quote

from workers.dispatching.carrying import Ask
from workers.dispatching.peers import Peer
from workers.runtimes.base import Array, Load
from workers.runtimes.http_services import OpenInference


def asking(service: str, inputs: Sequence[Array]) -> Ask[list[Array]]:
    """Return what asks a worker for a service; the time bounds its description and its answer.

    What it returns raises RuntimeFailure when the worker does not answer in time or cannot use
    the inputs.
    """

    def ask(peer: Peer, within_ms: float) -> list[Array]:
        url = f"{peer.address.rstrip('/')}/v2/models/{quote(service, safe='')}"
        session = OpenInference().load(url, Load(deadline_ms=within_ms, load_ms=within_ms))
        return session.run(inputs)

    return ask
