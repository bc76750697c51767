"""An application of two services on two nodes, and a gateway in front of it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from ssl import create_default_context
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from schemas.decisions import EnsembleMember, EnsembleSelected
from schemas.graphs import Stage
from schemas.registrations import ApplicationRegistered
from streams.controlling.control import CatalogueControl
from tests.embedded.worker_world import Surroundings, now, placement, service, until
from tests.unit.workers.tiny_models import classifier
from workers.gateway.running import Gateway
from workers.settings import Settings

SERVICES = ("sharp", "soft")


def serve_shapes(world: Surroundings, folder: Path) -> None:
    """Register the application `shapes`, and return when its four instances are ready."""
    world.send(*(service(name, classifier(folder / f"{name}.onnx")) for name in SERVICES))
    world.send(*(placement(name, "one", "two", generation=9) for name in SERVICES))
    world.send(application(), ensemble())
    for node in ("one", "two"):
        world.worker(node, f"{node}-1")
    for node in ("one", "two"):
        for name in SERVICES:
            until(_ready(world, f"{name}.{node}", f"{node}-1"))


def _ready(world: Surroundings, instance: str, worker: str) -> Callable[[], bool]:
    return lambda: world.health(instance, worker) == "ready"


def application() -> ApplicationRegistered:
    """Return the application `shapes`: one stage of two services."""
    stage = Stage(stage="classify", stage_id="s", services=SERVICES)
    return ApplicationRegistered(
        app="shapes",
        app_id="shapes",
        run="r",
        user="u",
        owner="o",
        stages=(stage,),
        registered_at=now(),
        event_id="shapes",
    )


def ensemble() -> EnsembleSelected:
    """Return the selection of both services for `shapes`."""
    return EnsembleSelected(
        event_id="e1",
        app="shapes",
        contract="",
        generation=1,
        algorithm="test",
        combine="weighted_vote",
        members=tuple(EnsembleMember(service=n, weight=1.0, role="member") for n in SERVICES),
        predicted_latency_ms=1.0,
        predicted_accuracy=1.0,
        predicted_cost=0.0,
        score=1.0,
        gap=0.0,
        reason="test",
        selected_at=now(),
    )


@dataclass(frozen=True)
class Told:
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def plain(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Calls a gateway over one connection; `trusted` is the certificate that it has to show."""

    def __init__(self, address: str, trusted: str = "") -> None:
        place = urlsplit(address)
        self.address = address
        self._connection = (
            HTTPSConnection(place.netloc, context=create_default_context(cafile=trusted))
            if place.scheme == "https"
            else HTTPConnection(place.netloc, timeout=20)
        )

    def __call__(
        self, method: str, path: str, content: Any = None, /, *, kind: str = "", **headers: str
    ) -> Told:
        """Call; names of headers are given with '_' for '-'."""
        body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            told["Content-Type"] = kind or "application/json"
        self._connection.request(method, path, body, told)
        answer = self._connection.getresponse()
        return Told(answer.status, dict(answer.getheaders()), answer.read())

    def close(self) -> None:
        self._connection.close()


def binary(name: str, array: npt.NDArray[np.float32]) -> tuple[bytes, dict[str, str]]:
    """Return a request of the Open Inference Protocol with a tensor as bytes, and its header."""
    parameters = {"binary_data_size": array.nbytes}
    tensor = {"name": name, "shape": array.shape, "datatype": "FP32", "parameters": parameters}
    head = json.dumps({"inputs": [tensor], "parameters": {"deadline_ms": 5_000}}).encode()
    return head + array.tobytes(), {"Inference_Header_Content_Length": str(len(head))}


def certificate(folder: Path) -> dict[str, str]:
    """Make a certificate of this machine's, signed by itself, and return where it is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weir")])
    until = datetime.now(timezone.utc) + timedelta(days=1)
    names = [x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(until - timedelta(days=2))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return {"certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem")}


@contextmanager
def gateway(settings: Settings, **changes: Any) -> Iterator[Caller]:
    """Run a gateway on a free port, and yield what calls it."""
    own = settings.gateway.model_copy(update={"port": 0, **changes})
    settings = settings.model_copy(update={"gateway": own})
    made = Gateway(settings, "test", CatalogueControl(settings))
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        until(lambda: made.ready)
        caller = Caller(made.address, own.certificate)
        yield caller
    finally:
        stop.set()
        thread.join(60)
        caller.close()
    assert not thread.is_alive()
