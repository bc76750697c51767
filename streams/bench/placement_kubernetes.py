"""From an event to what Kubernetes is to run: the way through broker, place, and actuator.

A stack of its own is started, whose control process places on the nodes of a cluster and applies
what it decided. The clock starts when a PlacementRequested is handed to the producer and stops
when a watch of the cluster tells of the Deployment. Everything is in a namespace of its own, which
is deleted in the end. The Pods ask for a thousandth of a core and 1 MiB each.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from placement.kube.answers import Verdict
from placement.kube.door import Kube, Patience, connect
from placement.kube.manifests import SERVICE
from schemas.base import Event
from schemas.decisions import PlacementRequested, ServiceDemand
from schemas.identity import stable_id
from schemas.registrations import ServiceRegistered
from streams.bench.figures import percentiles
from streams.bench.sending import Sender
from streams.embedded.stack import CONTROL, Stack
from streams.errors import StreamsError
from workers import telemetry
from workers.clock import wall_ms
from workers.registry import Registry
from workers.settings import AuthoritySettings, KubeSettings, Settings

Say = Callable[[str], None]
TOGETHER = 200
IMAGE = "registry.k8s.io/pause:3.10"
EVERY_S = (0.05, 0.25)
"""Between two requests, drawn at random, so that they meet no period of a host."""
FIRST_S, ANSWER_S, TOGETHER_S = 60.0, 20.0, 120.0
_NAMESPACES = "/api/v1/namespaces"


class NotApplied(StreamsError):
    """What was asked for did not come to the cluster; the message says what."""


class Board:
    """When Deployments were first told of, by service (ns); a thread follows the watch."""

    def __init__(self, door: Kube, namespace: str) -> None:
        self._door = door
        self._namespace = namespace
        self._news = threading.Condition()
        self.seen: dict[str, int] = {}
        self._thread = threading.Thread(target=self._follow, name="deployments", daemon=True)
        self._thread.start()

    def wait(self, services: Sequence[str], limit_s: float) -> None:
        """Return when all have a Deployment. Raises NotApplied when that takes too long."""
        with self._news:
            if not self._news.wait_for(lambda: self.seen.keys() >= set(services), limit_s):
                missing = sorted(set(services) - self.seen.keys())
                raise NotApplied(
                    f"after {limit_s:.0f} s {len(missing)} of {len(services)} services have no "
                    f"Deployment in {self._namespace}, such as {missing[0]}"
                )

    def _follow(self) -> None:
        version = ""
        while True:
            for change in self._door.watch("Deployment", self._namespace, version=version):
                if change.answer is not None:
                    if not change.answer.done:
                        return
                    break
                at_ns = time.time_ns()
                meta = change.body["metadata"]
                version = str(meta.get("resourceVersion", version))
                service = (meta.get("annotations") or {}).get(SERVICE)
                if service is not None:
                    with self._news:
                        self.seen.setdefault(str(service), at_ns)
                        self._news.notify_all()


def measure(kubeconfig: str, singles: int, say: Say) -> dict[str, Any]:
    """Return p50 and p99 in ms of `singles` services one by one, and seconds for 200 at once.

    Raises ClusterUnknown, NotApplied, StackError.
    """
    telemetry.configure("CRITICAL", json=False)
    namespace = f"weir-bench-{wall_ms()}"
    with ExitStack() as ended:
        home = ended.enter_context(TemporaryDirectory(prefix="weir-bench-"))
        door = ended.enter_context(closing(connect(kubeconfig, patience=Patience(all_s=10.0))))
        say(f"starting a stack; namespace {namespace} by {kubeconfig}")
        ended.enter_context(_namespace(door, namespace))
        board = Board(door, namespace)
        own = _settings(kubeconfig, namespace, Path(home))
        stack = ended.enter_context(Stack(own, apps=(CONTROL,)))
        registry = ended.enter_context(closing(Registry(stack.settings.registry)))
        sender = ended.enter_context(Sender(stack.settings.kafka, registry.codec()))
        return _measure(sender, board, singles, say)


def _settings(kubeconfig: str, namespace: str, home: Path) -> Settings:
    return Settings(
        data_dir=home,
        actuator="kubernetes",
        kube=KubeSettings(kubeconfig=kubeconfig, namespace=namespace),
        authority=AuthoritySettings(registries=("*",)),
    )


def _measure(sender: Sender, board: Board, singles: int, say: Say) -> dict[str, Any]:
    chance = Random(1)  # noqa: S311 - pauses, not secrets
    ones = [f"bench-one-{number:03}" for number in range(singles)]
    many = [f"bench-many-{number:03}" for number in range(TOGETHER)]
    for name in ("bench-first", *ones, *many):
        sender.send(_service(name))
    sender.flush()
    sender.send(_request("bench-first"))
    board.wait(["bench-first"], FIRST_S)
    took = []
    for name in ones:
        time.sleep(chance.uniform(*EVERY_S))
        sent = sender.send(_request(name))
        board.wait([name], ANSWER_S)
        took.append((board.seen[name] - sent.at_ns) / 1e6)
    told = percentiles(took)
    say(f"{singles} services one by one: {told['p50']} ms, p99 {told['p99']} ms")
    begun_ns = time.time_ns()
    for name in many:
        sender.send(_request(name))
    board.wait(many, TOGETHER_S)
    seconds = (max(board.seen[name] for name in many) - begun_ns) / 1e9
    say(f"{TOGETHER} services at once: {seconds:.2f} s")
    return {
        "apply_p50_ms": told["p50"],
        "apply_p99_ms": told["p99"],
        "applied": singles,
        "apply_200_s": round(seconds, 3),
    }


@contextmanager
def _namespace(door: Kube, name: str) -> Iterator[None]:
    """Give a namespace with the account of workers; it is deleted with all that is in it."""
    made = door.ask("POST", _NAMESPACES, {"metadata": {"name": name}})
    if not made.done:
        raise NotApplied(f"namespace {name} cannot be made: {made.message}")
    try:
        account = {"metadata": {"name": KubeSettings().account}}
        door.ask("POST", f"{_NAMESPACES}/{name}/serviceaccounts", account)
        yield
    finally:
        gone = door.ask("DELETE", f"{_NAMESPACES}/{name}")
        if not gone.done and gone.verdict is not Verdict.ABSENT:
            raise NotApplied(f"namespace {name} is still there: {gone.message}")


def _service(name: str) -> ServiceRegistered:
    return ServiceRegistered(
        service=name,
        service_id=stable_id("bench", "service", name),
        app="bench",
        stage="serve",
        model="",
        image=IMAGE,
        artifact="file:///models/none.onnx",
        format="onnx",
        cpu_milli=1,
        memory_mib=1,
        registered_at=wall_ms(),
        event_id=stable_id("bench", "registered", name),
    )


def _request(name: str) -> Event:
    now = wall_ms()
    return PlacementRequested(
        event_id=stable_id("bench", "request", name, now),
        kind="service.registered",
        subject=name,
        app="bench",
        demands=(ServiceDemand(service=name, replicas=1),),
        reason="a benchmark asks for it",
        requested_at=now,
    )
