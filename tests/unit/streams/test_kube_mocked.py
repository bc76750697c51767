"""The door, the watches and the actuator against an API server that answers as it likes (KMock)."""

import asyncio
import copy
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import kmock
import pytest

from placement.authority import Limits
from placement.errors import ClusterUnknown
from placement.kube.answers import Answer, Verdict, away
from placement.kube.backoff import Backoff
from placement.kube.door import ABSENT, Change, Kube, Patience, connect
from placement.kube.kinds import Right
from placement.kube.manifests import INSTANCE
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.registrations import NodeReported
from streams.actuating.actuate import Actuating
from streams.actuating.kube import KubeDeeds
from streams.actuating.kube_following import Followed, Following
from streams.doctor import kube as doctor
from streams.doctor.installation import Given, Site
from streams.errors import HostingError
from streams.surroundings import World
from tests.unit.placement.kube_world import deeds, phases, placed, world
from tests.unit.placement.test_discovery import api as node_of
from tests.unit.placement.world import T0
from tests.unit.streams.kube_mock import Api, refusal, serving
from workers.clock import wall_ms
from workers.settings import KubeSettings, Settings

QUICK = Patience(connect_s=1.0, answer_s=0.4, all_s=2.5, watch_s=60, renew_s=0.0)
MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "m", "namespace": "n"},
    "data": {"k": "ä😀"},
}
KEY = ("ConfigMap", "n", "m")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path) as served:
        yield served


@pytest.fixture
def door(api: Api) -> Iterator[Kube]:
    opened = connect(str(api.kubeconfig), "", QUICK, Backoff(first_s=0.01))
    yield opened
    opened.close()


class Driven:
    """The actuator as it works, with its own door; what it told is in `told`."""

    def __init__(self, api: Api, **kube: int) -> None:
        self.news = threading.Event()
        door = connect(str(api.kubeconfig), "", QUICK, Backoff(first_s=0.01))
        settings = Settings(actuator="kubernetes", kube=KubeSettings(threads=2, **kube))
        self.deeds = KubeDeeds(settings, Limits(), self.news.set, door)
        self.told: list[Event] = []

    def until(self, catalogue: Catalogue, done: Callable[[], object], limit_s: float = 8) -> None:
        """Act as the loop does, until it is so."""
        until = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < until, [str(event) for event in self.told]
            self.told += self.deeds.step(lambda: T0 + round(time.monotonic() * 1000), catalogue)
            self.news.wait(0.02)
            self.news.clear()


@pytest.fixture
def driven(api: Api) -> Iterator[Driven]:
    made = Driven(api)
    yield made
    made.deeds.close()


def once(answers: list[kmock.Response], method: str = "PATCH") -> Callable[[Any], Any]:
    """Return a fault that gives these answers to the first requests of a method."""
    left = list(answers)
    return lambda request: left.pop(0) if left and request.method.value == method else None


def test_what_is_applied_is_held_to_its_schema_and_to_its_version(api: Api, door: Kube) -> None:
    said = door.apply(MAP, version=ABSENT)
    assert said.done
    (request,) = api.seen
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert dict(request.params) == {
        "fieldManager": "weir",
        "fieldValidation": "Strict",
        "force": "false",
    }
    assert json.loads(request.body)["metadata"]["resourceVersion"] == ABSENT
    assert json.loads(request.body)["data"] == MAP["data"]
    assert door.apply(MAP, version=ABSENT).verdict is Verdict.CHANGED
    assert door.apply(MAP, version=said.version).done
    assert door.get(KEY).done
    assert door.delete(KEY, version="7").verdict is Verdict.CHANGED
    assert door.delete(KEY, version=said.version).done
    assert door.get(KEY).verdict is Verdict.ABSENT
    assert door.delete(KEY).done


def test_a_busy_server_is_asked_again_when_it_says_so(api: Api, door: Kube) -> None:
    api.fault = once([refusal(503, "Unavailable"), refusal(429, "TooManyRequests", after="1")])
    began = time.monotonic()
    assert door.apply(MAP).done
    assert time.monotonic() - began >= 1.0
    assert api.count("PATCH") == 3


def test_patience_ends(api: Api, door: Kube) -> None:
    api.fault = lambda _request: refusal(429, "TooManyRequests", after="60")
    said = door.get(KEY)
    assert (said.verdict, said.retry_after_s, len(api.seen)) == (Verdict.BUSY, 60.0, 1)


def test_a_slow_server_counts_as_away(api: Api) -> None:
    def slow(_request: kmock.Request) -> kmock.Response:
        return kmock.Response(status=200, payload=lambda: asyncio.sleep(0.4))

    api.fault = slow
    door = connect(str(api.kubeconfig), "", Patience(answer_s=0.1, all_s=0.1))
    said = door.get(KEY)
    door.close()
    assert said.verdict is Verdict.AWAY
    assert "does not answer" in said.message


def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    with serving(tmp_path) as api:
        door = connect(str(api.kubeconfig), "", Patience(all_s=0.2), Backoff(first_s=0.05))
    assert door.get(KEY).verdict is Verdict.AWAY
    (change,) = door.watch("Pod", "n")
    assert change.answer is not None
    assert change.answer.verdict is Verdict.AWAY
    door.close()


@pytest.mark.parametrize("text", ["a: b: c", "- a", "7", "", "users: 1", "\x00", "clusters: [1]"])
def test_a_kubeconfig_that_is_none_is_an_error_with_a_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text, "utf-8")
    with pytest.raises(ClusterUnknown, match="WEIR_KUBE__KUBECONFIG"):
        connect(str(path))


def test_no_usable_kubeconfig_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnknown, match="WEIR_KUBE__KUBECONFIG"):
        connect(str(tmp_path / "none"))
    with serving(tmp_path) as api, pytest.raises(ClusterUnknown, match="other"):
        connect(str(api.kubeconfig), "other")


def test_refused_credentials_are_told_and_read_again(api: Api, door: Kube) -> None:
    def known(request: kmock.Request) -> kmock.Response | None:
        good = request.headers.get("Authorization") == "Bearer new"
        return None if good else refusal(401, "Unauthorized")

    api.fault = known
    said = door.apply(MAP)
    assert said.verdict is Verdict.UNKNOWN
    assert "renew the token or certificate" in said.message
    url = str(api.seen[0].url.origin())
    api.write(url, "new")
    assert door.apply(MAP).done


def test_a_long_list_is_read_page_by_page(api: Api, door: Kube) -> None:
    def paged(request: kmock.Request) -> kmock.Response:
        first = "continue" not in request.params
        meta = {"resourceVersion": "9", "continue": "next" if first else ""}
        items = [{"metadata": {"name": "a" if first else "b"}}]
        return kmock.Response(status=200, payload={"metadata": meta, "items": items})

    api.fault = paged
    said = door.listed("Pod", "n", "a=b")
    assert [each["metadata"]["name"] for each in said.body["items"]] == ["a", "b"]
    assert said.version == "9"
    assert api.seen[0].params["labelSelector"] == "a=b"


def test_rights_that_are_missing(api: Api, door: Kube) -> None:
    def reviewed(request: kmock.Request) -> kmock.Response:
        asked = json.loads(request.body)["spec"]["resourceAttributes"]
        return kmock.Response(status=201, payload={"status": {"allowed": asked["verb"] == "get"}})

    api.fault = reviewed
    wanted = [Right("get", "", "pods", "n"), Right("patch", "apps", "deployments", "n")]
    assert door.missing(wanted) == ([wanted[1]], None)


def examined(**kube: str) -> tuple[str, str]:
    """Return status and mend of what the doctor says of a cluster."""
    given = Given(Settings(actuator="kubernetes", kube=KubeSettings(**kube)), {})
    (finding,) = doctor.judge(doctor.gather(Site(given)))
    return finding.status.value, finding.mend


def test_the_doctor_says_which_rights_are_missing(api: Api, tmp_path: Path) -> None:
    allowed = {"get", "list", "watch", "create", "delete"}

    def reviewed(request: kmock.Request) -> kmock.Response:
        verb = json.loads(request.body)["spec"]["resourceAttributes"]["verb"]
        return kmock.Response(status=201, payload={"status": {"allowed": verb in allowed}})

    api.fault = reviewed
    config = str(api.kubeconfig)
    status, mend = examined(kubeconfig=config)
    assert (status, "deploy/k8s/workloads" in mend) == ("fail", True)
    allowed.add("patch")
    assert examined(kubeconfig=config)[0] == "ok"
    api.fault = lambda _request: refusal(401, "Unauthorized")
    status, mend = examined(kubeconfig=config)
    assert (status, "renew" in mend) == ("fail", True)
    status, mend = examined(kubeconfig=str(tmp_path / "none"))
    assert (status, "WEIR_KUBE__KUBECONFIG" in mend) == ("fail", True)
    (finding,) = doctor.judge(doctor.gather(Site(Given(Settings(), {}))))
    assert finding.status.value == "skip"


def test_a_watch_that_is_closed_ends(api: Api, door: Kube) -> None:
    api.cluster.put(copy.deepcopy(MAP))
    changes = door.watch("ConfigMap", "n", version="0")
    assert next(changes).kind == "ADDED"
    threading.Timer(0.1, door.close).start()
    began = time.monotonic()
    assert [change.kind for change in changes] == ["ENDED"]
    assert time.monotonic() - began < 2


def test_a_watch_that_begins_after_closing_ends_at_once(door: Kube) -> None:
    door.close()
    (change,) = door.watch("Pod", "n", version="0")
    assert change.answer is not None
    assert "closed" in change.answer.message


def test_who_was_refused_with_old_credentials_asks_again_with_the_new_ones(api: Api) -> None:
    door = connect(str(api.kubeconfig), "", Patience(renew_s=0.05))
    refused, until = door._client, time.monotonic() + 5
    while not door._renew(refused):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert door._renew(refused)
    assert not door._renew(door._client)
    door.close()


def copies(api: Api) -> set[str]:
    return {
        body["metadata"]["annotations"][INSTANCE]
        for (kind, *_), body in list(api.cluster.objects.items())
        if kind == "Deployment"
    }


def test_from_a_decision_to_what_became_of_it(api: Api, driven: Driven) -> None:
    api.cluster.put(node_of("a"))
    catalogue = world(placed(1, "a"))
    driven.until(catalogue, lambda: copies(api))
    (key,) = (key for key in api.cluster.objects if key[0] == "Deployment")
    api.cluster.serve(key, readyReplicas=1, updatedReplicas=1)
    driven.until(catalogue, lambda: ("available", "") in phases(driven.told))
    told = [event for event in driven.told if isinstance(event, NodeReported)]
    assert {(node.node, node.source) for node in told} == {("a", "kubernetes")}
    body = copy.deepcopy(api.cluster.objects[key])
    body["spec"]["replicas"] = 5
    api.cluster.put(body)
    driven.until(catalogue, lambda: ("service.mend", "done") in deeds(driven.told))
    assert api.cluster.objects[key]["spec"]["replicas"] == 1
    driven.until(world(placed(2)), lambda: not copies(api))
    assert ("removed", "") in phases(driven.told)


def test_a_watch_that_is_too_old_begins_with_a_new_list(api: Api, driven: Driven) -> None:
    catalogue = world(placed(1, "a"))
    driven.until(catalogue, lambda: copies(api))
    lists = sum("watch" not in request.params for request in api.seen)
    api.oldest = 10_000
    (key,) = (key for key in api.cluster.objects if key[0] == "Deployment")
    api.cluster.delete(key)
    api.cluster.changes.clear()
    driven.until(catalogue, lambda: ("service.mend", "done") in deeds(driven.told))
    assert sum("watch" not in request.params for request in api.seen) > lists
    assert copies(api)


def test_fields_of_others_are_taken_by_force_once_refused(api: Api, driven: Driven) -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "helm" using apps/v1'}
    status = {"reason": "Conflict", "details": {"causes": [cause | {"field": ".spec"}]}}

    def contested(request: kmock.Request) -> kmock.Response | None:
        if request.method.value == "PATCH" and request.params["force"] == "false":
            return kmock.Response(status=409, payload=status, headers={"Retry-After": None})
        return None

    api.fault = contested
    driven.until(world(placed(1, "a")), lambda: copies(api))
    assert ("fields.reclaim", "done") in deeds(driven.told)


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (422, "Invalid")])
def test_what_the_server_refuses_is_told_and_done_once_it_may(
    api: Api, driven: Driven, code: int, reason: str
) -> None:
    def refuse(request: kmock.Request) -> kmock.Response | None:
        patched = request.method.value == "PATCH" and "deployments" in request.url.path
        return refusal(code, reason, "no") if patched else None

    api.fault = refuse
    catalogue = world(placed(1, "a"))
    driven.until(catalogue, lambda: ("failed", reason) in phases(driven.told))
    assert ("service.apply", "failed") in deeds(driven.told)
    api.fault = lambda _request: None
    driven.until(catalogue, lambda: copies(api))


def test_a_server_that_does_not_know_us_is_told_once(api: Api, driven: Driven) -> None:
    driven.until(world(), lambda: driven.deeds._own.observed().complete)
    api.fault = lambda _request: refusal(401, "Unauthorized")
    driven.until(world(), lambda: ("cluster.watch", "failed") in deeds(driven.told))
    api.fault = lambda _request: None
    driven.until(world(), lambda: ("cluster.watch", "done") in deeds(driven.told))


def test_watches_read_renewed_credentials_by_themselves(api: Api, door: Kube) -> None:
    def until(done: Callable[[], object]) -> None:
        limit = time.monotonic() + 5
        while not done():
            assert time.monotonic() < limit
            time.sleep(0.01)

    following = Following(door, [Followed("ConfigMap")], lambda: None, backoff=Backoff(0.01))
    following.start()
    until(lambda: following.observed().complete)
    api.fault = lambda request: (
        None if request.headers["Authorization"] == "Bearer new" else refusal(401, "Unauthorized")
    )
    until(lambda: following.observed().troubles)
    api.write(str(api.seen[0].url.origin()), "new")
    until(lambda: not following.observed().troubles)
    door.close()
    following.close()


def test_nodes_that_may_not_be_read_are_told_and_services_go_on(api: Api, driven: Driven) -> None:
    def refuse(request: kmock.Request) -> kmock.Response | None:
        return refusal(403, "Forbidden", "nodes") if "/nodes" in request.url.path else None

    api.fault = refuse
    driven.until(world(placed(1, "a")), lambda: copies(api))
    driven.until(world(placed(1, "a")), lambda: ("cluster.watch", "failed") in deeds(driven.told))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watch_whose_thread_has_ended_is_not_believed(api: Api) -> None:
    def broken(_body: Any) -> Any:
        raise ArithmeticError("a defect")

    door = connect(str(api.kubeconfig), "", QUICK)
    api.cluster.put(copy.deepcopy(MAP))
    following = Following(door, [Followed("ConfigMap", keep=broken)], lambda: None)
    following.start()
    following._threads[0].join(5)
    with pytest.raises(HostingError, match="watch-ConfigMap"):
        following.observed()
    door.close()
    following.close()
    assert not following.observed().complete, "who has closed it expects no thread"


class Marking:
    """A door whose first watch is cut off, and whose next has a bookmark and no news."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._watches = 0

    def listed(self, *_: str) -> Answer:
        return Answer(Verdict.DONE, 200, {"metadata": {"resourceVersion": "1"}, "items": []})

    def watch(self, *_: str) -> Iterator[Change]:
        self._watches += 1
        if self._watches == 1:
            yield Change("ENDED", {}, away("cut off"))
            return
        self.over.wait(0.2)
        yield Change("BOOKMARK", {"metadata": {"resourceVersion": "2"}})
        self.over.wait(10)
        yield Change("ENDED", {}, Answer(Verdict.DONE))


def test_a_bookmark_says_that_the_cluster_is_heard_again() -> None:
    door = Marking()
    following = Following(door, [Followed("Pod")], lambda: None, backoff=Backoff(0.01))  # type: ignore[arg-type]
    following.start()
    for troubled in (True, False):
        limit = time.monotonic() + 5
        while bool(following.observed().troubles) is not troubled:
            assert time.monotonic() < limit
            time.sleep(0.005)
    door.over.set()
    following.close()


class Around:
    """What a process shares, without a broker."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._world = World(None, "", lambda: catalogue, wall_ms)  # type: ignore[arg-type]

    def open(self) -> World:
        return self._world


def test_the_running_process_uses_the_actuator_of_its_settings(api: Api) -> None:
    settings = Settings(
        actuator="kubernetes", kube=KubeSettings(kubeconfig=str(api.kubeconfig), threads=2)
    )
    api.cluster.put(node_of("a"))
    told: list[Event] = []

    async def send(events: Iterable[Event]) -> None:
        told.extend(events)

    async def live() -> None:
        actuating = Actuating(settings, Around(world(placed(1, "a"))))  # type: ignore[arg-type]
        task = asyncio.create_task(actuating.work(send))
        async with asyncio.timeout(10):
            while not (copies(api) and any(isinstance(e, NodeReported) for e in told)):
                await asyncio.sleep(0.01)
        await actuating.close(send)
        await task

    asyncio.run(live())
    assert ("service.apply", "done") in deeds(told)
    (last,) = (event for event in told[-1:] if isinstance(event, NodeReported))
    assert (last.node, last.status) == ("a", "unknown")
