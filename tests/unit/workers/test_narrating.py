"""Diagnoses told by a language model: what is asked, what is not, and every way it goes wrong."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from schemas.observing import Finding, QualityEvaluated, RootCause
from schemas.quality import DiagnosisNarrated
from tests.examples import example
from tests.unit.workers.chat_server import ChatServer, completion, serving
from workers.narrating.budget import DAY_MS, Budget
from workers.narrating.narrator import Narrator
from workers.settings_outside import NarrateSettings, NotifySettings

NOW = 1_900_000_000_000


@pytest.fixture(scope="module")
def shared() -> Iterator[ChatServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(shared: ChatServer) -> ChatServer:
    shared.answers = [completion("All is told.")]
    for kept in (shared.requests, shared.paths, shared.tokens):
        kept.clear()
    return shared


class Bench:
    """A narrator on a clock of its own; waiting takes no time, and is kept."""

    def __init__(self, server: ChatServer, **more: Any) -> None:
        self.now = NOW
        self.waits: list[float] = []
        terms: dict[str, Any] = {"url": server.url, "model": "tiny", "timeout_s": 0.3}
        terms |= {"attempts": 1} | more
        self.narrator = Narrator(NarrateSettings(**terms), self.wait, lambda: self.now)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += round(seconds * 1000)
        return False

    def told(self, diagnosis: QualityEvaluated | None = None) -> DiagnosisNarrated:
        found = self.narrator.narrate(diagnosis or diagnosed())
        assert found is not None
        return found


def diagnosed(number: int = 1, **more: Any) -> QualityEvaluated:
    cause = RootCause(
        kind="node",
        name="edge-2",
        score=0.81,
        since=NOW - 9_000,
        why="latency rose",
        evidence=("o1",),
    )
    fields: dict[str, Any] = {
        "event_id": f"diagnosis {number}",
        "app": "digits",
        "tier": "diagnosis",
        "verdict": "degraded",
        "root_causes": (cause,),
        "findings": (Finding(what="latency of node edge-2", observed=31.0, expected=12.0),),
        "since": NOW - 10_000,
        "evaluated_at": NOW - 1_000,
        "spell": f"spell {number}",
    }
    return replace(example(QualityEvaluated), **(fields | more))


def test_a_diagnosis_is_told(server: ChatServer) -> None:
    server.answers = [completion("Node edge-2 is slow.\x1b[31m\nLook at its fan.")]
    found = Bench(server, token=SecretStr("t0p"), max_tokens=77).told()

    assert (found.status, found.model, found.message) == ("told", "tiny-1", "")
    assert found.text == "Node edge-2 is slow. [31m\nLook at its fan."
    assert (found.prompt_tokens, found.completion_tokens) == (120, 30)
    assert (found.app, found.diagnosis, found.causes) == ("digits", "diagnosis 1", ("diagnosis 1",))
    (asked,) = server.requests
    assert (asked["model"], asked["max_tokens"], asked["stream"]) == ("tiny", 77, False)
    assert (server.paths, server.tokens) == (["/v1/chat/completions"], ["Bearer t0p"])


def test_the_prompt_is_made_of_the_diagnosis_alone_and_redacted(server: ChatServer) -> None:
    secret = "moved by anna.smith@example.org with password=hunter2 from 10.1.2.3"
    cause = replace(diagnosed().root_causes[0], why=secret, name="Projekt-Falke-7")
    Bench(server, redact=("falke",)).told(diagnosed(root_causes=(cause,)))

    (asked,) = server.requests
    text = json.dumps(asked)
    for kept in ("anna", "hunter2", "10.1.2.3", "alke", "diagnosis 1", "o1"):
        assert kept not in text
    body = json.loads(asked["messages"][1]["content"])
    assert body["root_causes"] == [
        {
            "kind": "node",
            "name": "Projekt-[redacted]-7",
            "plausibility": 0.81,
            "why": "moved by [redacted] with [redacted] from [redacted]",
            "seconds_from_begin": 1,
        }
    ]
    assert body["observed"] == [{"what": "latency of node edge-2", "now": 31.0, "before": 12.0}]


def test_figures_that_json_does_not_know_are_words(server: ChatServer) -> None:
    odd = Finding(what="x", observed=float("nan"), expected=float("-inf"))
    cause = replace(diagnosed().root_causes[0], score=float("nan"))
    Bench(server).told(diagnosed(findings=(odd,), root_causes=(cause,)))
    body = json.loads(server.requests[0]["messages"][1]["content"])
    assert body["root_causes"][0]["plausibility"] == "nan"
    assert body["observed"] == [{"what": "x", "now": "nan", "before": "-inf"}]


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("late", "timeout", "did not answer within 0.3 s"),
        ("endless", "timeout", "did not answer within 0.3 s"),
        ("huge", "failed", "bytes or more"),
        ("broken off", "failed", "cannot be asked"),
        ((500, {}), "failed", "status 500"),
        ((429, {"Retry-After": "7"}), "failed", "status 429"),
        ((401, {}), "refused", "status 401"),
        ((302, {"Location": "http://127.0.0.1:9/"}), "refused", "status 302"),
        (b"<html>no</html>", "failed", "no JSON"),
        (b"", "failed", "no JSON"),
        (b"[" * 100_000, "failed", "no JSON"),
        (b"\xff\xfe{", "failed", "no JSON"),
        ([], "failed", "no text"),
        ({}, "failed", "no text"),
        (completion(7), "failed", "no text"),
        (completion(None), "failed", "no text"),
        (completion("x", choices=[]), "failed", "no text"),
        (completion("x", choices={"message": {}}), "failed", "no text"),
        (completion(" \n "), "failed", "empty"),
    ],
)
def test_what_goes_wrong_is_told_and_nothing_of_the_others_words(
    server: ChatServer, answer: Any, status: str, words: str
) -> None:
    server.answers = [answer]
    found = Bench(server).told()

    assert (found.status, found.text) == (status, "")
    assert words in found.message
    assert "secret" not in found.message


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": "9", "completion_tokens": True}, 3])
def test_odd_counts_of_tokens_are_none(server: ChatServer, usage: Any) -> None:
    server.answers = [completion("Fine.", usage=usage, model=["x"])]
    found = Bench(server).told()
    assert (found.status, found.prompt_tokens, found.completion_tokens) == ("told", 0, 0)
    assert found.model == "tiny"


def test_half_a_character_is_none(server: ChatServer) -> None:
    server.answers = [b'{"choices": [{"message": {"content": "Hot \\ud83d fan"}}]}']
    assert Bench(server).told().text == "Hot   fan"


def test_nobody_there_is_a_failure() -> None:
    with serving() as gone:
        pass
    assert Bench(gone).told().status == "failed"


def test_it_asks_again_where_that_may_help_and_as_late_as_it_is_told(server: ChatServer) -> None:
    server.answers = [(429, {"Retry-After": "7"}), (503, {}), completion("Third time.")]
    bench = Bench(server, attempts=3)
    assert bench.told().text == "Third time."
    assert bench.waits == [7.0, 3.0]
    assert len(server.requests) == 3


def test_a_retry_after_of_an_hour_is_not_waited_for(server: ChatServer) -> None:
    server.answers = [(429, {"Retry-After": "3600"}), completion("Now.")]
    bench = Bench(server, attempts=2)
    assert bench.told().status == "told"
    assert bench.waits == [30.0]


def test_what_was_refused_is_not_asked_again(server: ChatServer) -> None:
    server.answers = [(401, {}), completion("never")]
    assert Bench(server, attempts=5).told().status == "refused"
    assert len(server.requests) == 1


def test_a_day_has_a_budget_of_tokens(server: ChatServer) -> None:
    bench = Bench(server, tokens_per_day=1_000, max_tokens=100)
    statuses = [bench.told(diagnosed(n)).status for n in range(8)]
    assert statuses.count("told") == len(server.requests) < 6
    assert statuses[-1] == "over-budget"
    bench.now += DAY_MS
    assert bench.told(diagnosed(9)).status == "told"


def test_what_fails_counts_too(server: ChatServer) -> None:
    server.answers = [(500, {})]
    bench = Bench(server, tokens_per_day=1_500, max_tokens=10, attempts=10)
    assert bench.told().status == "over-budget"
    assert 1 < len(server.requests) < 10


def test_a_minute_has_so_many_calls(server: ChatServer) -> None:
    bench = Bench(server, calls_per_minute=2)
    for number in range(3):
        bench.told(diagnosed(number))
    assert len(bench.waits) == 1
    assert 59.0 <= bench.waits[0] <= 60.0


def test_asked_to_stop_while_it_waits_it_tells_nothing(server: ChatServer) -> None:
    terms = NarrateSettings(url=server.url, calls_per_minute=1)
    narrator = Narrator(terms, lambda _: True, lambda: NOW)
    assert narrator.narrate(diagnosed(1)) is not None
    assert narrator.narrate(diagnosed(2)) is None


def test_a_restart_neither_asks_again_nor_spends_twice(server: ChatServer) -> None:
    first = Bench(server, tokens_per_day=700, max_tokens=100)
    told = first.told()
    second = Bench(server, tokens_per_day=700, max_tokens=100)
    second.narrator.remember([replace(told, prompt_tokens=600)])
    assert second.narrator.wanted([diagnosed()]) == []
    assert second.told(diagnosed(2)).status == "over-budget"


def test_only_the_newest_diagnosis_of_a_spell_that_lasts_is_wanted(server: ChatServer) -> None:
    narrator = Bench(server).narrator
    one, two = diagnosed(1), diagnosed(2, spell="spell 1")
    ended = diagnosed(3, spell="spell 3", verdict="healthy", root_causes=())
    others = [
        diagnosed(4, tier="rules"),
        diagnosed(5, root_causes=()),
        diagnosed(6, evaluated_at=NOW - 3_600_000),
        diagnosed(7, spell="spell 3"),
        ended,
    ]
    assert narrator.wanted([one, two, *others]) == [two]


def test_clocks_that_jump_back_give_no_second_budget() -> None:
    budget = Budget(100, 1)
    budget.spend(90, NOW)
    budget.spend(90, NOW - DAY_MS)
    assert budget.objection(20, NOW - DAY_MS)
    assert not budget.objection(20, NOW + DAY_MS)


@pytest.mark.parametrize("url", ["ftp://x", "http://me:pw@x/v1", "x", "http://x/v1?key=1"])
def test_endpoints_that_are_none_or_hold_a_secret_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        NarrateSettings(url=url)


@pytest.mark.parametrize("section", [NarrateSettings, NotifySettings])
def test_an_age_without_end_is_refused(section: type[NarrateSettings | NotifySettings]) -> None:
    with pytest.raises(ValidationError, match="max_age_s"):
        section(max_age_s=float("inf"))
