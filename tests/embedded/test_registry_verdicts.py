"""The registry's verdicts over HTTP, in every mode, against those of Avro's Java library."""

from collections.abc import Iterator

import pytest
import requests

from schemas import evolution
from tests.compatibility.histories import histories, of_java

COUNT = 75
"""Histories of three versions each: 100 pairs or more, in each of the modes."""


def expected(mode: str, new: str, earlier: list[str]) -> bool:
    against = earlier if mode.endswith("_TRANSITIVE") else earlier[-1:]
    said = of_java()
    backward = all(said[new, old] for old in against) or mode.startswith("FORWARD")
    forward = all(said[old, new] for old in against) or mode.startswith("BACKWARD")
    return mode == "NONE" or (backward and forward)


@pytest.fixture(scope="module")
def asked(registry_of_histories: str) -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def registry_of_histories(registry: object) -> str:
    """The address of a registry that holds the first two versions of every history."""
    base = f"http://127.0.0.1:{vars(registry)['port']}"
    with requests.Session() as session:
        level = session.get(f"{base}/config", timeout=60).json()["compatibilityLevel"]
        session.put(f"{base}/config", json={"compatibility": "NONE"}, timeout=60)
        for number, (first, second, _) in enumerate(histories()[:COUNT]):
            for text in (first, second):
                path = f"{base}/subjects/history-{number}/versions"
                answer = session.post(path, json={"schema": text}, timeout=60)
                assert answer.ok, answer.text
        session.put(f"{base}/config", json={"compatibility": level}, timeout=60)
    return base


@pytest.mark.parametrize("mode", evolution.MODES)
def test_http_verdicts_are_those_of_the_java_library(
    asked: requests.Session, registry_of_histories: str, mode: str
) -> None:
    base = registry_of_histories
    level = asked.get(f"{base}/config", timeout=60).json()["compatibilityLevel"]
    asked.put(f"{base}/config", json={"compatibility": mode}, timeout=60)
    told, wanted = [], []
    for number, (first, second, new) in enumerate(histories()[:COUNT]):
        path = f"{base}/compatibility/subjects/history-{number}/versions"
        places = (("", [first, second]), ("/latest", [second]), ("/1", [first]))
        where, earlier = places[number % 3]
        answer = asked.post(path + where, json={"schema": new}, timeout=60)
        told.append(answer.json()["is_compatible"])
        wanted.append(expected(mode, new, earlier))
    asked.put(f"{base}/config", json={"compatibility": level}, timeout=60)
    assert told == wanted
    assert any(told)
    assert all(told) is (mode == "NONE")
