"""Registries of remote workers and requests for one: what they say, and what is refused."""

import copy
from typing import Any

import pytest

from tests.unit.workers.remote_documents import REGISTRY, REQUEST, SEEN, WORKER
from workers.dispatching.choosing import choose
from workers.handover.errors import DocumentRefused
from workers.handover.registries import errand_of, peers_in


def registry(**changes: Any) -> Any:
    return {**REGISTRY, "workers": [{**copy.deepcopy(WORKER), **changes}]}


def test_a_worker_of_a_registry_can_be_asked_while_it_was_seen_lately() -> None:
    (peer,) = peers_in(REGISTRY, "r.json", SEEN + 10_000)
    errand, attempts = errand_of(REQUEST, "q.json", SEEN + 10_000)
    assert (errand.task, errand.deadline, attempts) == ("t7", SEEN + 10_050, 2)
    assert choose(errand, [peer], SEEN + 10_000).order[0].peer.address == "http://10.0.0.7:8765"
    (late,) = peers_in(REGISTRY, "r.json", SEEN + 15_001)
    assert "heartbeat has expired" in choose(errand, [late], SEEN + 15_001).why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "offline"}, "it is offline"),
        ({"health": {"state": "down"}}, "it is down"),
        ({"health": None}, "it is unknown"),
        ({"endpoint_type": "file_contract"}, "it tells no address"),
        ({"endpoint_type": "ssh", "metadata": {"ssh_host": "-oProxyCommand=x"}}, "no address"),
        ({"capabilities": {"workers": ["dummy"]}}, "it lacks onnxruntime; it has dummy"),
    ],
)
def test_others_are_not_asked_and_it_is_told_why(changes: Any, why: str) -> None:
    errand, _ = errand_of(REQUEST, "q.json", SEEN)
    found = choose(errand, peers_in(registry(**changes), "r.json", SEEN), SEEN)
    assert why in found.why


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "r.json: it is [] and should be a registry of workers"),
        ({**REGISTRY, "schema_version": "inferedge-remote-worker-registry-v2"}, "reads inferedge"),
        ({**REGISTRY, "workers": []}, "workers is []; write a list with at least one"),
        ({**REGISTRY, "workers": ["a"]}, "workers[0]: it is 'a' and should be a table"),
        ({**REGISTRY, "workers": [WORKER, WORKER]}, "workers[1]: worker_id 'edge-1' stands twice"),
        (registry(worker_id=None), "workers[0]: worker_id is missing"),
        (registry(capabilities={"workers": "x"}), "capabilities: workers is 'x'; write a list"),
        (registry(capabilities={"priority_capacity": "many"}), "priority_capacity is 'many'"),
        (registry(metadata={"endpoint_url": "file:///etc/x"}), "write an http or https URL"),
        (registry(metadata={"endpoint_url": "http://edge:x/"}), "write an http or https URL"),
        (registry(metadata={"endpoint_url": "http://:80/"}), "write an http or https URL"),
        (registry(metadata={}), "metadata: endpoint_url is missing"),
        (registry(health={"last_seen_at": "yesterday"}), "last_seen_at is 'yesterday'; write an"),
        (registry(health={"last_seen_at": "2026-05-20T00:00:00"}), "an instant with its offset"),
        (registry(health={"last_seen_at": 7}), "last_seen_at is 7; write an instant"),
    ],
)
def test_a_registry_that_cannot_be_used_is_refused(content: Any, told: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        peers_in(content, "r.json", SEEN)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema_version": None}, "schema_version is missing"),
        ({"endpoint_url": "http://evil"}, "endpoint_url is not for a request to say"),
        ({"ssh_host": "-oProxyCommand=x"}, "ssh_host is not for a request to say"),
        ({"remote_command": "rm"}, "remote_command is not for a request to say"),
        ({"agent_id": None}, "agent_id is missing"),
        ({"latency_budget_ms": None}, "latency_budget_ms is missing"),
        ({"latency_budget_ms": float("inf")}, "latency_budget_ms is inf"),
        ({"latency_budget": 5}, "did you mean 'latency_budget_ms'?"),
        ({"retry_policy": {"max_attempts": -1}}, "retry_policy: max_attempts is -1"),
    ],
)
def test_a_request_that_cannot_be_used_is_refused(changes: Any, told: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        errand_of({**REQUEST, **changes}, "q.json", SEEN)
    assert told in str(refused.value)
    assert str(refused.value).startswith("q.json")
