"""Two actuators of one installation on one API server (KMock): the one that began last acts."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import kmock
import pytest

from streams.actuating import kube_turn
from tests.unit.placement.kube_world import deeds, placed, world
from tests.unit.streams.kube_mock import Api, refusal, serving
from tests.unit.streams.test_kube_mocked import Driven, copies


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_turn, "RENEW_S", 0.05)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path) as served:
        yield served


@contextmanager
def acting(api: Api) -> Iterator[Driven]:
    driven = Driven(api, orphan_ms=0)
    with closing(driven.deeds):
        yield driven


def holder(api: Api) -> str:
    (lease,) = (body for (kind, *_), body in api.cluster.objects.items() if kind == "Lease")
    return str(lease["spec"].get("holderIdentity", ""))


def test_who_was_left_behind_brings_nothing_back_and_takes_nothing_away(api: Api) -> None:
    before, retired = world(placed(1, "a")), world(placed(2))
    with acting(api) as old:
        old.until(before, lambda: copies(api))
        with acting(api) as new:
            new.until(retired, lambda: not copies(api) and not kept(api))
            for _ in range(5):
                old.told += old.deeds.step(lambda: 0, before)
            assert kept(api) == set(), "what was retired meanwhile does not come back"
            new.until(world(placed(3, "b")), lambda: copies(api) == {"digits.b"})
            for _ in range(5):
                old.told += old.deeds.step(lambda: 0, world())
            assert copies(api) == {"digits.b"}, "what is not known does not go"
            old.until(world(), lambda: ("cluster.lease", "refused") in deeds(old.told))
        assert holder(api) == "", "who ends gives it up"
        old.until(world(placed(4, "c")), lambda: copies(api) == {"digits.c"})
        old.until(world(placed(4, "c")), lambda: ("cluster.lease", "done") in deeds(old.told))


def kept(api: Api) -> set[str]:
    return {key[0] for key in api.cluster.objects} - {"Lease"}


def test_before_each_deed_the_server_is_asked_whose_turn_it_is(api: Api) -> None:
    with acting(api) as driven:
        driven.until(world(placed(1, "a")), lambda: copies(api))
        (key,) = (key for key in api.cluster.objects if key[0] == "Lease")

        def another(request: kmock.Request) -> None:
            if request.method.value == "GET" and "leases" in request.url.path:
                lease = api.cluster.objects[key]
                spec = lease["spec"] | {"holderIdentity": "another"}
                api.cluster.put(lease | {"spec": spec})

        api.fault = another
        driven.until(
            world(placed(2, "b")), lambda: ("cluster.lease", "refused") in deeds(driven.told)
        )
        assert copies(api) == {"digits.a"}


def test_a_lease_that_may_not_be_written_is_told_and_nothing_is_done(api: Api) -> None:
    def refuse(request: kmock.Request) -> kmock.Response | None:
        return refusal(403, "Forbidden", "leases") if "leases" in request.url.path else None

    api.fault = refuse
    with acting(api) as driven:
        catalogue = world(placed(1, "a"))
        driven.until(catalogue, lambda: ("cluster.watch", "failed") in deeds(driven.told))
        assert copies(api) == set()
        api.fault = lambda _request: None
        driven.until(catalogue, lambda: copies(api))
