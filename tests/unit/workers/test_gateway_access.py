"""Who may ask at the gateway, how much and how fast, and what an answer means over HTTP."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from schemas.catalogue import Catalogue, Update
from schemas.errors import DecodeError, EncodeError, InvalidEvent
from schemas.inference import InferenceRequest, InferenceResponse
from schemas.records import Tensor
from schemas.registrations import ApplicationRegistered, ConsumerRegistered
from schemas.topics import key_of, topic_of
from tests.examples import example
from workers.awaiting import NoAnswer, TooMany, Undelivered
from workers.gateway import outcomes
from workers.gateway.access import Access, Caller, application, check_origin, digest_of
from workers.gateway.asked import Asked, Wishes
from workers.gateway.asking import Asking, Begun
from workers.gateway.control import NoControl, Verb
from workers.gateway.kept import Entry, Kept
from workers.gateway.leftovers import STALE_MS, is_stale
from workers.gateway.limits import Limits
from workers.gateway.openapi import document
from workers.gateway.refusals import NotServing, Refusal
from workers.gateway.running import allows_anonymous, runner_of, tls_of
from workers.gateway.server import Means, Routes, _told
from workers.kafka.ends import End
from workers.payloads.errors import PayloadLost, PayloadRefused
from workers.settings_outside import GatewaySettings


def consumer(name: str, token: str = "", **fields: Any) -> ConsumerRegistered:
    digest = digest_of(token) if token else ""
    known = ConsumerRegistered(consumer=name, registered_at=0, event_id=name, token_sha256=digest)
    return replace(known, **fields)


def catalogue(*entries: Any) -> Catalogue:
    updates = [Update(topic_of(one), 0, n, key_of(one), one) for n, one in enumerate(entries)]
    return Catalogue().apply(updates)


def routes() -> Routes:
    """Return the routes of a gateway on the loopback to which nobody answers."""

    async def never(request: InferenceRequest) -> InferenceResponse:
        raise NoAnswer(request.request_id)

    settings = GatewaySettings()
    means = Means(
        asking=Asking(never, settings),
        access=Access("", anonymous=True),
        settings=settings,
        catalogue=Catalogue,
        ready=lambda: True,
        ending=lambda: False,
        control=NoControl(),
        version="1",
    )
    return Routes(means)


KNOWN = catalogue(consumer("desk", "secret"), consumer("open"), consumer("gate", "other"))


def status(act: Callable[[], object]) -> int:
    with pytest.raises(Refusal) as told:
        act()
    assert told.value.body()["what"]
    assert told.value.body()["remedy"]
    return told.value.status


def test_a_token_says_who_calls() -> None:
    access = Access("boss", anonymous=False)
    assert access.caller("Bearer secret", "", KNOWN).consumer == "desk"
    assert access.caller("Bearer secret", "desk", KNOWN).known is not None
    assert access.caller("Bearer boss", "gate", KNOWN) == Caller(
        "gate", KNOWN.get(ConsumerRegistered, "gate"), admin=True
    )
    assert status(lambda: access.caller("Bearer secret", "gate", KNOWN)) == 403
    assert status(lambda: access.caller("Bearer wrong", "", KNOWN)) == 401
    assert status(lambda: access.caller("", "open", KNOWN)) == 401
    assert status(lambda: access.caller("Bearer \udcff", "", KNOWN)) == 401
    later = catalogue(consumer("desk", "newer"))
    assert status(lambda: access.caller("Bearer secret", "", later)) == 401, "it was replaced"


def test_without_a_token_only_those_without_one_can_be_named() -> None:
    access = Access("", anonymous=True)
    assert access.caller("", "open", KNOWN).consumer == "open"
    assert access.caller("", "stranger", KNOWN) == Caller("stranger", None)
    assert status(lambda: access.caller("", "desk", KNOWN)) == 401
    for strange in ("\udcff", "a\tb", "a" * 201):
        assert status(partial(access.caller, "", strange, KNOWN)) == 400
    assert status(lambda: access.admin("Bearer ")) == 403, "there is no administrator"
    boss = Access("boss", anonymous=True)
    boss.admin("Bearer boss")
    boss.admin("bearer boss")
    assert status(lambda: boss.admin("Bearer secret")) == 401
    assert status(lambda: boss.admin("")) == 401
    assert [allows_anonymous(GatewaySettings(host=h)) for h in ("127.0.0.1", "0.0.0.0")] == [
        True,
        False,
    ]
    assert allows_anonymous(GatewaySettings(host="0.0.0.0", anonymous="yes"))


def test_how_things_stand_is_told_to_the_administrator_where_tokens_are_on() -> None:
    Access("", anonymous=True).operator("")
    Access("boss", anonymous=True).operator("Bearer boss")
    assert status(lambda: Access("boss", anonymous=True).operator("Bearer secret")) == 401
    assert status(lambda: Access("", anonymous=False).operator("")) == 403


def test_applications_are_open_to_whom_they_are() -> None:
    app = replace(example(ApplicationRegistered), app="digits")
    known = catalogue(app)
    only = Caller("desk", consumer("desk", apps=("other",)))
    assert application("digits", Caller("", None), known) == app
    assert status(lambda: application("digits", only, known)) == 403
    assert status(lambda: application("faces", Caller("", None), known)) == 404


def test_pages_of_others_and_strange_names_are_refused() -> None:
    check_origin("127.0.0.1:80", "", loopback=True)
    check_origin("weir.example:80", "http://weir.example:80", loopback=False)
    assert status(lambda: check_origin("evil.example:80", "", loopback=True)) == 403
    assert status(lambda: check_origin("127.0.0.1:80", "http://evil.example", loopback=True)) == 403


def test_an_authorization_without_a_token_opens_nothing_to_pages_of_others() -> None:
    for said in ("Bearer \u00a0", "bearer", "\u00a0"):
        headers = {"Host": "evil.example:8090", "Authorization": said}
        asked = make_mocked_request("GET", "/v2/models/digits", headers)
        assert status(partial(routes()._caller, asked)) == 403


def test_a_refusal_can_be_told_whatever_it_quotes() -> None:
    told = _told({"what": "field \ud800"}).body
    assert isinstance(told, bytes)
    assert b'"what": "field ?"' in told


def test_a_connection_that_says_nothing_whole_is_closed() -> None:
    async def main() -> bytes:
        runner = runner_of(web.Application(), idle_s=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
            writer.write(b"GET /v2 HTTP/1.1\r\nHost: 127")
            told = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return told
        finally:
            await runner.cleanup()

    assert asyncio.run(main()) == b""


def test_rates_and_places_are_bounded() -> None:
    limits = Limits(3, 2, 0.0)
    fast, slow = Caller("a", None), Caller("b", consumer("b", rate_per_s=2.0, burst=1))
    first = limits.enter(slow, 0.0)
    with pytest.raises(Refusal) as told:
        limits.enter(slow, 0.1)
    assert (told.value.status, told.value.headers()) == (429, {"Retry-After": "1"})
    second = limits.enter(slow, 0.6)
    assert status(lambda: limits.enter(slow, 9.0)) == 429, "two of one are under way"
    third = limits.enter(fast, 0.0)
    assert status(lambda: limits.enter(fast, 0.0)) == 429, "three of all are under way"
    for place in (first, second):
        place.leave()
    with third:
        assert limits.inside == 1
    assert limits.inside == 0
    with limits.enter(fast, 0.0) as kept:
        kept.kept = True
    assert limits.inside == 1, "whoever keeps it gives it up"
    usual = Limits(9, 9, 1.0)
    usual.enter(fast, 0.0)
    assert status(lambda: usual.enter(fast, 0.5)) == 429
    usual.enter(fast, 1.5).leave(paid=False)
    usual.enter(fast, 1.5)


def asked(value: int = 1) -> Asked:
    return Asked((Tensor(name="x", dtype="uint8", shape=(1,), data=bytes([value])),), {})


def test_a_key_is_one_request_and_what_failed_is_asked_again() -> None:
    app, caller = example(ApplicationRegistered), Caller("desk", None)
    app = replace(app, stages=())
    seen: list[InferenceRequest] = []
    failing = [True]

    async def ask(request: InferenceRequest) -> InferenceResponse:
        seen.append(request)
        if failing[0]:
            raise NoAnswer("none")
        return replace(example(InferenceResponse), request_id=request.request_id)

    async def main() -> None:
        asking = Asking(ask, GatewaySettings(max_requests=5))
        keyed = Wishes(key="k", deadline_ms=50)

        def begin(value: int = 1, *, later: bool = True) -> Begun:
            with asking.enter(caller) as place:
                return asking.begin(app, asked(value), keyed, place, later=later)

        first = begin(later=False)
        with pytest.raises(Refusal) as told:
            await first.answer
        assert told.value.status == 504
        failing[0] = False
        second = begin()
        third = begin()
        assert (await third.answer).response.request_id == second.request_id == first.request_id
        assert len(seen) == 2
        assert [status(lambda: begin(2)) for _ in range(9)] == [422] * 9, "no place is lost"
        assert asking.find(second.request_id, caller).answer.done()
        assert status(lambda: asking.find(second.request_id, Caller("gate", None))) == 404
        assert status(lambda: asking.find("no", caller)) == 404
        assert seen[0].deadline - seen[0].created_at == 50

    asyncio.run(main())


def test_kept_answers_are_bounded_in_number_bytes_and_time() -> None:
    async def main() -> None:
        kept = Kept(2, 100, 10.0)
        for number, at in enumerate((0.0, 1.0, 5.0)):
            kept.put(str(number), Entry("", "", asyncio.Future(), at))
        assert kept.get("0", 5.0) is None
        assert kept.get("1", 5.0) is not None
        assert kept.get("1", 11.0) is None
        assert kept.get("2", 11.0) is not None
        kept.put("3", Entry("", "", asyncio.Future(), 11.0))
        kept.weigh("3", 60)
        kept.weigh("2", 60)
        kept.weigh("gone", 60)
        assert kept.get("3", 11.0) is None, "it came first"
        assert kept.get("2", 11.0) is not None
        kept.put("2", Entry("", "", asyncio.Future(), 12.0))
        kept.put("4", Entry("", "", asyncio.Future(), 12.0))
        kept.weigh("4", 101)
        assert kept.get("4", 12.0) is None, "it alone is too much"
        assert kept.get("2", 12.0) is not None, "whoever asks again has no answer yet"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidEvent("tensor", "inputs.x", "no"), 400),
        (EncodeError("no"), 400),
        (DecodeError("too-large", "no"), 413),
        (NoAnswer("no"), 504),
        (TooMany("no"), 429),
        (PayloadRefused("no"), 507),
        (PayloadLost("no"), 502),
        (Undelivered("no"), 503),
    ],
)
def test_errors_of_asking_have_a_status(error: Exception, expected: int) -> None:
    assert isinstance(error, outcomes.FAILURES)
    assert outcomes.refusal(error).status == expected


@pytest.mark.parametrize(
    ("told", "reason", "expected"),
    [
        ("failed", "no ensemble is selected for a", 503),
        ("failed", "b: failed, input x is int8; the model takes float32", 422),
        ("rejected", "consumer b exceeds its rate of 2 requests a second", 429),
        ("rejected", "overloaded: 10000 requests are pending", 503),
        ("rejected", "3 ms to the deadline were left", 504),
        ("rejected", "consumer b may not use a", 403),
        ("rejected", "no application 'b' is registered", 404),
        ("rejected", "whatever else", 422),
    ],
)
def test_answers_without_a_result_have_a_status(told: str, reason: str, expected: int) -> None:
    bad = replace(example(InferenceResponse), status=told, reason=reason, outputs=())
    with pytest.raises(Refusal) as refused:
        outcomes.check(bad)
    assert refused.value.status == expected
    assert refused.value.body()["answer"]["status"] == told
    assert ("Retry-After" in refused.value.headers()) == (expected in (429, 503))
    good = replace(bad, status="partial")
    assert outcomes.check(good) is good


def test_the_document_names_every_verb() -> None:
    verb = Verb("POST", "/apps", "register", "Register one.")
    told = document((("apps", verb),), "1")
    assert told["openapi"].startswith("3.1")
    assert told["paths"]["/v1/apps"]["post"]["security"] == [{"token": []}]
    names = [p["name"] for p in told["paths"]["/v1/apps/{app}/infer"]["post"]["parameters"]]
    assert {"app", "Weir-Deadline-Ms", "Idempotency-Key"} <= set(names)


def test_a_certificate_that_cannot_be_read_says_so() -> None:
    assert tls_of(GatewaySettings()) is None
    with pytest.raises(NotServing, match="WEIR_GATEWAY__CERTIFICATE"):
        tls_of(GatewaySettings(certificate="/nowhere.pem", key="/nowhere.key"))


def test_every_route_is_in_the_document() -> None:
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in routes().application().router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    paths = document((), "1")["paths"]
    assert served == {(method, path) for path, methods in paths.items() for method in methods}


@pytest.mark.parametrize(
    ("high", "age_ms", "stale"),
    [
        (0, None, False),
        (3, None, True),
        (3, 0, False),
        (3, STALE_MS, False),
        (3, STALE_MS + 1, True),
    ],
)
def test_topics_that_nobody_writes_to_any_more_are_left_over(
    high: int, age_ms: int | None, stale: bool
) -> None:
    newest = None if age_ms is None else 10_000_000 - age_ms
    assert is_stale(End(high, high, 0, newest), 10_000_000) is stale
