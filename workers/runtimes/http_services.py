"""Models that others serve over HTTP: the Open Inference Protocol (version 2, JSON), plain JSON.

Hosts come from registrations, never from a request. A registration may name a bearer token by
`runtime.token`: it is the worker's variable INFERENCE_TOKEN_<name>, so that registrations neither
hold secrets nor reach others.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from workers.runtimes.base import DEFAULT, Array, Load, Port, Signature
from workers.runtimes.errors import ArtifactMissing, BrokenModel, ExecutionFailed
from workers.runtimes.http_link import Link, NoAnswer, Refused
from workers.runtimes.http_tensors import array_of, datatype, declared, described
from workers.runtimes.options import checked
from workers.settings_section import Section

TOKENS = "INFERENCE_TOKEN_"


class OpenInferenceOptions(Section):
    """Options of a service with the Open Inference Protocol."""

    token: str = Field(default="", pattern=r"^[A-Za-z0-9_]*$", description="name of a token")


class PlainJsonOptions(OpenInferenceOptions):
    """Options of a service that takes and gives plain JSON.

    `inputs` and `outputs` are as `x:float32:?x3;mask:bool:?`. One tensor is sent as nested lists,
    several as an object by name, both below the key `send`; answers are found in the same way
    below `take`. An empty key means the body itself.
    """

    inputs: str
    outputs: str
    send: str = "inputs"
    take: str = "outputs"


class OpenInference:
    """Models at URLs such as http://host:8000/v2/models/digits, perhaps with /versions/3."""

    name = "open-inference"
    fetches = False

    def load(self, artifact: Path | str, terms: Load = DEFAULT) -> "OpenInferenceSession":
        """Ask a model for its metadata.

        Raises ArtifactMissing when it does not answer, BrokenModel when it cannot be served.
        """
        own = checked(OpenInferenceOptions, terms.options)
        link = Link(str(artifact), _headers(own.token))
        try:
            told = link.ask("GET", link.path, None, min(terms.load_ms, terms.deadline_ms))
        except (NoAnswer, Refused) as error:
            raise ArtifactMissing(str(error)) from error
        return OpenInferenceSession(link, _signature(link, told), terms.deadline_ms)


class OpenInferenceSession:
    """A model that another server has loaded."""

    def __init__(self, link: Link, signature: Signature, deadline_ms: float) -> None:
        self._link = link
        self._deadline_ms = deadline_ms
        self.signature = signature
        self.provider = link.place

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute on one array per input, in the signature's order; returns one per output.

        Raises ExecutionFailed.
        """
        pairs = zip(self.signature.inputs, inputs, strict=True)
        message = {
            "inputs": [_tensor(port, array) for port, array in pairs],
            "outputs": [{"name": port.name} for port in self.signature.outputs],
        }
        path = f"{self._link.path.rstrip('/')}/infer"
        answer = self._link.ask("POST", path, message, self._deadline_ms)
        try:
            found = {entry["name"]: (entry["data"], entry["shape"]) for entry in answer["outputs"]}
            ordered = [(port, *found[port.name]) for port in self.signature.outputs]
        except (TypeError, KeyError) as error:
            raise ExecutionFailed(f"{self._link.place}: its answer lacks {error}") from error
        return [array_of(port, data, shape) for port, data, shape in ordered]


class PlainJson:
    """Services that take tensors as JSON lists at any URL."""

    name = "plain-json"
    fetches = False

    def load(self, artifact: Path | str, terms: Load = DEFAULT) -> "PlainJsonSession":
        """Take what the options say of a service; it is first asked when something is executed.

        Raises BrokenModel.
        """
        own = checked(PlainJsonOptions, terms.options)
        signature = Signature(declared(own.inputs), declared(own.outputs))
        link = Link(str(artifact), _headers(own.token))
        return PlainJsonSession(link, signature, own, terms.deadline_ms)


class PlainJsonSession:
    """A service that takes and gives plain JSON."""

    def __init__(
        self, link: Link, signature: Signature, options: PlainJsonOptions, deadline_ms: float
    ) -> None:
        self._link = link
        self._options = options
        self._deadline_ms = deadline_ms
        self.signature = signature
        self.provider = link.place

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute on one array per input, in the signature's order; returns one per output.

        Raises ExecutionFailed.
        """
        pairs = zip(self.signature.inputs, inputs, strict=True)
        named = {port.name: array.tolist() for port, array in pairs}
        sent: Any = named if len(named) > 1 else next(iter(named.values()))
        own = self._options
        message = {own.send: sent} if own.send else sent
        answer = self._link.ask("POST", self._link.path, message, self._deadline_ms)
        outputs = self.signature.outputs
        try:
            taken = answer[own.take] if own.take else answer
            found = {port.name: taken[port.name] for port in outputs} if len(outputs) > 1 else {}
        except (TypeError, KeyError, IndexError) as error:
            raise ExecutionFailed(f"{self._link.place}: its answer lacks {error}") from error
        return [array_of(port, found.get(port.name, taken)) for port in outputs]


def _tensor(port: Port, array: Array) -> dict[str, Any]:
    return {
        "name": port.name,
        "shape": list(array.shape),
        "datatype": datatype(port),
        "data": array.ravel().tolist(),
    }


def _signature(link: Link, told: Any) -> Signature:
    try:
        inputs, outputs = told["inputs"], told["outputs"]
        signature = Signature(
            inputs=tuple(described(entry) for entry in inputs),
            outputs=tuple(described(entry) for entry in outputs),
            properties={str(k): str(v) for k, v in (told.get("parameters") or {}).items()},
        )
    except (AttributeError, TypeError, KeyError) as error:
        raise BrokenModel(f"{link.place}: its metadata lack inputs or outputs") from error
    except BrokenModel as error:
        raise BrokenModel(f"{link.place}: {error}") from error
    if not signature.inputs or not signature.outputs:
        raise BrokenModel(f"{link.place}: its metadata name no inputs or no outputs")
    return signature


def _headers(token: str) -> dict[str, str]:
    if not token:
        return {}
    value = os.environ.get(f"{TOKENS}{token}", "")
    if not value:
        raise BrokenModel(f"runtime.token {token}: this worker has no variable {TOKENS}{token}")
    return {"Authorization": f"Bearer {value}"}
