"""A model that doubles, as a fake session, and tasks for it."""

from collections.abc import Sequence

import numpy as np

from schemas.inference import InferenceTask
from schemas.records import Tensor
from schemas.registrations import ServiceRegistered
from schemas.resources import Variant
from workers.inference.replicas import Hosted
from workers.runtimes.base import Array, Port, Signature
from workers.runtimes.errors import ExecutionFailed

T0 = 1_700_000_000_000
VARIANT = Variant(name="cpu-fp32", precision="fp32", device="cpu")


def port(name: str, *shape: int | None, dtype: str = "float32") -> Port:
    return Port(name, np.dtype(dtype), shape)


DOUBLING = Signature((port("x", None, 2),), (port("y", None, 2),))


class FakeSession:
    """Doubles its first input; refuses rows that begin with -1, and records batch sizes."""

    provider = "FakeProvider"

    def __init__(self, signature: Signature = DOUBLING) -> None:
        self.signature = signature
        self.sizes: list[int] = []

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self.sizes.append(inputs[0].shape[0])
        if (inputs[0][:, 0] == -1).any():
            raise ExecutionFailed("refused")
        return [inputs[0] * 2]


def service(name: str = "double", **fields: object) -> ServiceRegistered:
    known = {
        "service": name,
        "service_id": name,
        "app": "digits",
        "stage": "classify",
        "model": "doubling",
        "image": "",
        "artifact": f"file:///{name}.onnx",
        "format": "onnx",
        "cpu_milli": 100,
        "memory_mib": 64,
        "variants": (VARIANT,),
        "registered_at": T0,
        "event_id": name,
    }
    return ServiceRegistered(**known | fields)  # type: ignore[arg-type]


def hosted(name: str = "double", session: FakeSession | None = None, **fields: object) -> Hosted:
    return Hosted(
        instance=f"{name}.n",
        service=service(name, **fields),
        variant=VARIANT,
        session=session or FakeSession(),
        runtime="fake",
        digest="abc",
        loaded_as=f"{name}#1",
    )


def tensor(*values: float, dtype: str = "float32", name: str = "x") -> Tensor:
    array = np.array(values, dtype)
    return Tensor(name=name, dtype=dtype, shape=array.shape, data=array.tobytes())


def task(number: int = 0, name: str = "double", **fields: object) -> InferenceTask:
    known = {
        "task_id": f"t{number}",
        "request_id": f"r{number}",
        "app": "digits",
        "stage": "classify",
        "service": name,
        "instance": f"{name}.n",
        "worker": "w",
        "attempt": 0,
        "created_at": T0,
        "deadline": T0 + 1_000,
        "generation": 1,
        "inputs": (tensor(number, 1.0),),
    }
    return InferenceTask(**known | fields)  # type: ignore[arg-type]
