"""A registry of remote workers and a request for one, as they stand in files."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from workers.dispatching.choosing import Errand
from workers.dispatching.peers import Peer
from workers.handover.documents import REGISTRY, REQUEST, VERSION, Fields, shown
from workers.handover.errors import DocumentRefused

FRESH_MS = 15_000.0
"""A worker that was seen longer ago counts as gone."""
_REQUEST = (
    *(VERSION, "task_id", "agent_id", "agent_type", "required_backend", "worker"),
    *("device_target", "priority", "latency_budget_ms", "input_ref", "retry_policy"),
)
_ELSEWHERE = ("endpoint_url", "ssh_host", "remote_command")
_HTTP = "http"


def peers_in(content: Any, where: str, now: float, fresh_ms: float = FRESH_MS) -> list[Peer]:
    """Return the workers of a registry; `now` in ms since the epoch.

    Those that were seen longer than `fresh_ms` ago have expired. Raises DocumentRefused.
    """
    fields = Fields(content, where, "a registry of workers")
    fields.version(REGISTRY)
    found: dict[str, Peer] = {}
    for one in fields.tables("workers"):
        peer = _peer(one, now, fresh_ms)
        if peer.worker in found:
            raise one.wrong("worker_id", f"{peer.worker!r} stands twice; give each its own")
        found[peer.worker] = peer
    return list(found.values())


def errand_of(content: Any, where: str, now: float) -> tuple[Errand, int]:
    """Return the task of a request, and how many attempts it allows; `now` in ms.

    Where a task goes is not for its request to say: one that names a host or a command is refused.
    Raises DocumentRefused.
    """
    fields = Fields(content, where, "a request for a worker")
    fields.version(REQUEST)
    for name in _ELSEWHERE:
        if fields.plain.get(name) is not None:
            raise fields.wrong(name, "is not for a request to say; name workers in the registry")
    fields.only((*_REQUEST, *_ELSEWHERE))
    budget = fields.number("latency_budget_ms")
    if budget is None:
        raise fields.wrong("latency_budget_ms", "is missing; write a number such as 50.0")
    agent = fields.text("agent_id")
    errand = Errand(
        task=fields.text("task_id", f"task_{agent}"),
        service=agent,
        deadline=now + budget,
        priority=fields.whole("priority", 0),
        backend=fields.text("required_backend", "") or fields.text("worker", ""),
        device=fields.text("device_target", ""),
    )
    attempts = fields.table("retry_policy").whole("max_attempts", 1)
    return errand, max(1, attempts)


def _peer(one: Fields, now: float, fresh_ms: float) -> Peer:
    capabilities, health = one.table("capabilities"), one.table("health")
    metadata = one.table("metadata")
    status = one.text("status", "unknown")
    seen = _instant(health, now)
    online = status == "online"
    return Peer(
        worker=one.text("worker_id"),
        address=_address(one, metadata),
        health=health.text("state", "unknown") if online else status,
        backends=(*capabilities.texts("workers"), *capabilities.texts("backends")),
        devices=capabilities.texts("devices"),
        capacity=capabilities.whole("priority_capacity", 0),
        heartbeat=seen,
        expires_at=seen + fresh_ms,
    )


def _address(one: Fields, metadata: Fields) -> str:
    """Return the URL of a worker that answers over HTTP; nothing for any other kind."""
    if not one.text("endpoint_type", "file_contract").startswith(_HTTP):
        return ""
    url = metadata.text("endpoint_url")
    if not _usable(url):
        raise metadata.wrong("endpoint_url", f"is {shown(url)}; write an http or https URL")
    return url


def _usable(url: str) -> bool:
    """Tell whether this is a URL with a host, and with a port that can be, if it has one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _instant(health: Fields, now: float) -> float:
    """Return when a worker was seen last; one that does not say was seen now."""
    said = health.plain.get("last_seen_at")
    if said is None:
        return now
    told = f"is {shown(said)}; write an instant with its offset, such as 2026-05-20T00:00:00Z"
    try:
        seen = datetime.fromisoformat(f"{said[:-1]}+00:00" if said.endswith("Z") else said)
    except (AttributeError, TypeError, ValueError):
        raise health.wrong("last_seen_at", told) from None
    if seen.tzinfo is None:
        raise DocumentRefused(f"{health.where}: last_seen_at {told}")
    return seen.timestamp() * 1000
