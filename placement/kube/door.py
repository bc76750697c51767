"""The one door to the `kubernetes` library: one API server, asked from any thread.

The library finds the server and proves who we are; what is asked and answered are plain data, so
that nothing depends on its models. Every call returns an Answer; none raises for what a server
says or does not say, none logs. Who is told to wait (429, 5xx) or gets no answer asks again, with
growing delays and jitter, until `patience_s` is over.
"""

import os
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from placement.errors import ClusterUnknown
from placement.kube.answers import AGAIN, Answer, Verdict, answer, away
from placement.kube.backoff import Backoff
from placement.kube.kinds import KINDS, Key, Manifest, Right, key_of
from placement.kube.manifests_names import OWNER
from placement.kube.wire import lines, parsed, written

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3.response import BaseHTTPResponse

ABSENT = "1"
"""A resource version that no object has: applied with it, only what is not there is written."""
_JSON, _APPLY = "application/json", "application/apply-patch+yaml"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, an answer, and for all tries together.

    A watch is begun anew after `watch_s`; refused credentials are read again after `renew_s`.
    """

    connect_s: float = 3.0
    answer_s: float = 5.0
    all_s: float = 5.0
    watch_s: int = 240
    renew_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """A watch's news: ADDED, MODIFIED, DELETED, BOOKMARK, or at last ENDED and why."""

    kind: str
    body: Manifest
    answer: Answer | None = None


class Kube:
    """One API server. Safe to share between threads."""

    def __init__(
        self, load: "Callable[[], ApiClient]", patience: Patience, backoff: Backoff, owner: str
    ) -> None:
        """Use `connect`; `load` reads the credentials, again when they are refused.

        `owner` is the field manager that owns what is applied.
        """
        self.owner = owner
        self._load = load
        self._client = load()
        self._loaded_at = time.monotonic()
        self._lock = threading.Lock()
        self._patience = patience
        self._backoff = backoff
        self._closed = threading.Event()
        self._watches: set[BaseHTTPResponse] = set()

    @property
    def host(self) -> str:
        """Return the address of the server."""
        return str(self._client.configuration.host)

    def apply(
        self, manifest: Manifest, *, version: str = "", uid: str = "", force: bool = False
    ) -> Answer:
        """Apply an object server-side, as the owner's field manager, held to its schema.

        `version` is the resource version that it must still have, `ABSENT` when there must be
        none; empty takes whatever there is. With `uid` it must be that very object, so that one
        that was deleted meanwhile does not come back. `force` takes fields from other managers.
        """
        kind, namespace, name = key_of(manifest)
        asked = {
            "fieldManager": self.owner,
            "fieldValidation": "Strict",
            "force": str(force).lower(),
        }
        held = {"resourceVersion": version, "uid": uid}
        meta = {**manifest["metadata"], **{name: value for name, value in held.items() if value}}
        body = {**manifest, "metadata": meta}
        return self.ask("PATCH", KINDS[kind].path(namespace, name), body, asked, form=_APPLY)

    def delete(self, key: Key, *, uid: str = "", version: str = "") -> Answer:
        """Delete an object and in the background what belongs to it; what is not there is done.

        With `uid` and `version` only that very object, as it was read, is deleted.
        """
        kind, namespace, name = key
        held = {"uid": uid, "resourceVersion": version}
        options = {
            "propagationPolicy": "Background",
            "preconditions": {name: value for name, value in held.items() if value},
        }
        said = self.ask("DELETE", KINDS[kind].path(namespace, name), options)
        return Answer(Verdict.DONE, said.code) if said.verdict is Verdict.ABSENT else said

    def get(self, key: Key) -> Answer:
        """Read one object."""
        kind, namespace, name = key
        return self.ask("GET", KINDS[kind].path(namespace, name))

    def listed(self, kind: str, namespace: str = "", selector: str = "") -> Answer:
        """Read a collection, page by page; `body["items"]` has all, `version` where to watch."""
        items: list[Any] = []
        token = ""
        while True:
            asked = {"limit": str(_PAGE), "labelSelector": selector, "continue": token}
            said = self.ask("GET", KINDS[kind].path(namespace), query=asked)
            if not said.done:
                return said
            items += said.body.get("items") or ()
            token = str(said.body.get("metadata", {}).get("continue", ""))
            if not token:
                return Answer(Verdict.DONE, said.code, {**said.body, "items": items})

    def watch(
        self, kind: str, namespace: str = "", selector: str = "", version: str = ""
    ) -> Iterator[Change]:
        """Follow a collection from a resource version; the last change is ENDED.

        Its answer tells why: done after a while (watch again from the last version), expired
        (list again), or another verdict. Nothing is asked twice here.
        """
        asked = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "labelSelector": selector,
            "timeoutSeconds": str(self._patience.watch_s),
        }
        path = f"{KINDS[kind].path(namespace)}?{urlencode(asked)}"
        limit_s = self._patience.watch_s + self._patience.answer_s
        try:
            response = self._send("GET", path, None, _JSON, limit_s)
        except self._failures() as error:
            yield Change("ENDED", {}, away(str(error)))
            return
        with self._lock:
            self._watches.add(response)
            closed = self._closed.is_set()
        try:
            if closed:
                yield Change("ENDED", {}, away("the door is closed"))
                return
            yield from self._changes(response)
        finally:
            with self._lock:
                self._watches.discard(response)
            response.close()

    def missing(self, wanted: Iterable[Right]) -> tuple[list[Right], Answer | None]:
        """Return the rights that we lack; and the answer that kept us from knowing, if any."""
        lacking: list[Right] = []
        for right in wanted:
            named = {"group": right.group, "resource": right.plural, "verb": right.verb}
            spec = {"resourceAttributes": {**named, "namespace": right.namespace}}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": spec,
            }
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            said = self.ask("POST", path, review)
            if not said.done:
                return lacking, said
            if not said.body.get("status", {}).get("allowed"):
                lacking.append(right)
        return lacking, None

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        *,
        form: str = _JSON,
    ) -> Answer:
        """Ask, and again while the server is busy or away, until patience is over."""
        told = {name: value for name, value in (query or {}).items() if value}
        whole = f"{path}?{urlencode(told)}" if told else path
        until = time.monotonic() + self._patience.all_s
        for failures in range(1, 1000):
            said = self._once(method, whole, body, form)
            if said.verdict not in AGAIN:
                break
            chance = random.random()  # noqa: S311  # jitter guards nothing
            delay_s = self._backoff.delay_s(failures, chance, said.retry_after_s)
            if time.monotonic() + delay_s > until or self._closed.wait(delay_s):
                break
        return said

    def close(self) -> None:
        """End watches and waits, and close all connections."""
        self._closed.set()
        with self._lock:
            watches = list(self._watches)
        for response in watches:
            try:
                response.shutdown()
            except (OSError, ValueError, RuntimeError):
                continue  # it has ended meanwhile
        self._client.rest_client.pool_manager.clear()

    def _once(self, method: str, path: str, body: Any, form: str) -> Answer:
        client = self._client
        said = self._try(method, path, body, form)
        if said.verdict is Verdict.UNKNOWN and self._renew(client):
            said = self._try(method, path, body, form)
        return said

    def _try(self, method: str, path: str, body: Any, form: str) -> Answer:
        try:
            response = self._send(method, path, body, form, self._patience.answer_s)
            raw = response.read()
            response.release_conn()
        except self._failures() as error:
            return away(str(error))
        return answer(response.status, parsed(raw), response.headers.get("Retry-After", ""))

    def _send(
        self, method: str, path: str, body: Any, form: str, read_s: float
    ) -> "BaseHTTPResponse":
        from urllib3.util import Timeout  # noqa: PLC0415  # comes with kubernetes, only used here

        configuration = self._client.configuration
        headers = {"Content-Type": form, "Accept": _JSON, "User-Agent": OWNER}
        for setting in configuration.auth_settings().values():
            if setting["value"]:
                headers[setting["key"]] = str(setting["value"])
        return self._client.rest_client.pool_manager.request(
            method,
            f"{configuration.host}{path}",
            body=None if body is None else written(body),
            headers=headers,
            timeout=Timeout(connect=self._patience.connect_s, read=read_s),
            retries=False,
            preload_content=False,
        )

    def _changes(self, response: "BaseHTTPResponse") -> Iterator[Change]:
        if response.status >= 300:
            after = response.headers.get("Retry-After", "")
            yield Change("ENDED", {}, answer(response.status, parsed(response.read()), after))
            return
        try:
            for line in lines(response.stream(65536)):
                told = parsed(line)
                kind, body = str(told.get("type", "")), told.get("object", {})
                if kind == "ERROR":
                    yield Change("ENDED", {}, answer(int(body.get("code", 500)), body))
                    return
                if not kind or "metadata" not in body:
                    yield Change("ENDED", {}, away("the watch was cut off"))
                    return
                yield Change(kind, body)
        except self._failures() as error:
            yield Change("ENDED", {}, away(str(error)))
            return
        yield Change("ENDED", {}, Answer(Verdict.DONE, 200))

    def _renew(self, refused: "ApiClient") -> bool:
        """Read the credentials again, unless that was done just now; return whether others hold."""
        with self._lock:
            if self._client is not refused:
                return True
            if time.monotonic() - self._loaded_at < self._patience.renew_s or self._closed.is_set():
                return False
            self._loaded_at = time.monotonic()
            try:
                self._client = self._load()
            except ClusterUnknown:
                return False
            return True

    @staticmethod
    def _failures() -> tuple[type[BaseException], ...]:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415  # comes with kubernetes

        return (HTTPError, OSError, ssl.SSLError, ValueError)


def connect(
    kubeconfig: str = "",
    context: str = "",
    patience: Patience | None = None,
    backoff: Backoff | None = None,
    owner: str = OWNER,
) -> Kube:
    """Return the door to the cluster of a kubeconfig's context, or to the one that we run in.

    Without a path: the cluster around us when there is one, else KUBECONFIG or ~/.kube/config.
    `owner` owns what is applied through it. Nothing is asked yet. Raises ClusterUnknown when no
    usable configuration is found.
    """
    waits = patience or Patience(), backoff or Backoff()
    return Kube(lambda: _client(kubeconfig, context), *waits, owner)


def _client(kubeconfig: str, context: str) -> "ApiClient":
    from kubernetes import client, config  # noqa: PLC0415  # half a second, for this alone
    from yaml import YAMLError  # noqa: PLC0415  # comes with kubernetes, which reads by it

    configuration = client.Configuration()
    configuration.retries = False
    configuration.connection_pool_maxsize = 64
    try:
        if not kubeconfig and os.environ.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # the library leaves it out
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # the library leaves it out
                kubeconfig or None, context or None, configuration, persist_config=False
            )
    except (config.ConfigException, YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        where = kubeconfig or "KUBECONFIG, or ~/.kube/config"
        raise ClusterUnknown(
            f"{where}: {error}; name a kubeconfig by WEIR_KUBE__KUBECONFIG, and its context by "
            "WEIR_KUBE__CONTEXT"
        ) from error
    return client.ApiClient(configuration)
