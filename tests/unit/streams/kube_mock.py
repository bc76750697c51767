"""An API server on KMock: objects with versions, server-side apply, lists, watches, and faults."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kmock
import yaml

from placement.kube.answers import Answer
from placement.kube.kinds import KINDS
from tests.unit.placement.kube_world import FakeCluster

BY_PLURAL = {kind.plural: kind.name for kind in KINDS.values()}
WATCH_S = 0.5
Fault = Callable[[kmock.Request], kmock.Response | None]


def refusal(code: int, reason: str, message: str = "", after: str | None = None) -> kmock.Response:
    """Return what an API server says when it does not do as it is asked."""
    told = {"kind": "Status", "code": code, "reason": reason, "message": message or reason}
    return kmock.Response(status=code, payload=told, headers={"Retry-After": after})


class Api:
    """What a cluster answers; `fault` may say something else to any request."""

    def __init__(self, cluster: FakeCluster, folder: Path) -> None:
        self.cluster = cluster
        self.kubeconfig = folder / "kubeconfig"
        self.fault: Fault = lambda _request: None
        self.seen: list[kmock.Request] = []
        self.oldest = 0
        self.over = False

    def write(self, url: str, token: str = "old") -> None:
        """Write a kubeconfig for it."""
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        told = {
            "clusters": [{"name": "c", "cluster": {"server": url.rstrip("/")}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [context],
            "current-context": "c",
        }
        self.kubeconfig.write_text(yaml.safe_dump(told), "utf-8")

    def count(self, method: str) -> int:
        """Return how many requests of a method were made."""
        return sum(1 for request in self.seen if request.method.value == method)

    def answer(self, request: kmock.Request) -> kmock.Response:
        """Answer one request."""
        self.seen.append(request)
        if (said := self.fault(request)) is not None:
            return said
        parts = request.url.path.strip("/").split("/")
        plural = next(part for part in reversed(parts) if part in BY_PLURAL)
        kind = BY_PLURAL[plural]
        name = parts[-1] if parts[-1] != plural else ""
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        if "watch" in request.params:
            return self._payload(
                self._watch(kind, namespace, int(request.params["resourceVersion"]))
            )
        if request.method.value == "GET" and not name:
            return self._payload(self._list(kind, namespace))
        return self._one(request, (kind, namespace, name))

    def _one(self, request: kmock.Request, key: tuple[str, str, str]) -> kmock.Response:
        told = json.loads(request.body) if request.body else {}
        if request.method.value == "GET":
            return self._said(self.cluster.get(key))
        if request.method.value == "DELETE":
            held = told["preconditions"]
            version, uid = held.get("resourceVersion", ""), held.get("uid", "")
            return self._said(self.cluster.delete(key, uid=uid, version=version))
        meta = told["metadata"]
        version, uid = meta.pop("resourceVersion", ""), meta.pop("uid", "")
        force = request.params["force"] == "true"
        return self._said(self.cluster.apply(told, version=version, uid=uid, force=force))

    def _list(self, kind: str, namespace: str) -> dict[str, Any]:
        items = [b for b in self.cluster.objects.values() if self._meant(b, kind, namespace)]
        return {"metadata": {"resourceVersion": self.cluster.version}, "items": items}

    async def _watch(self, kind: str, namespace: str, version: int) -> AsyncIterator[bytes]:
        yield b""  # begins the answer
        if version < self.oldest:
            gone = {"code": 410, "reason": "Expired", "message": "too old resource version"}
            yield json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n"
            return
        for _ in range(round(WATCH_S / 0.01)):
            for at, what, body in list(self.cluster.changes):
                if at > version and self._meant(body, kind, namespace):
                    version = at
                    yield json.dumps({"type": what, "object": body}).encode() + b"\n"
            if self.over:
                return
            await asyncio.sleep(0.01)

    def _meant(self, body: dict[str, Any], kind: str, namespace: str) -> bool:
        return body["kind"] == kind and namespace in ("", body["metadata"].get("namespace"))

    def _said(self, said: Answer) -> kmock.Response:
        if said.done or said.code:
            return kmock.Response(
                status=said.code or 200, payload=dict(said.body), headers={"Retry-After": None}
            )
        raise AssertionError(said)

    def _payload(self, payload: Any) -> kmock.Response:
        return kmock.Response(status=200, payload=payload, headers={"Retry-After": None})


@contextmanager
def serving(folder: Path) -> Iterator[Api]:
    """Serve an API on the loopback meanwhile."""
    api, up = Api(FakeCluster(), folder), threading.Event()
    held: dict[str, Any] = {}

    async def serve() -> None:
        async with kmock.RawHandler() as handler, kmock.Server(handler) as server:
            handler[lambda _request: True] << api.answer
            held["loop"], held["stop"] = asyncio.get_running_loop(), asyncio.Event()
            api.write(str(server.url))
            up.set()
            await held["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="kmock")
    thread.start()
    assert up.wait(10)
    try:
        yield api
    finally:
        api.over = True
        held["loop"].call_soon_threadsafe(held["stop"].set)
        thread.join(10)
