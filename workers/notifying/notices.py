"""Notices as receivers want them: a signed JSON message, or alerts of Alertmanager.

A webhook gets POST with the body

    {"version": 1, "id": "…", "app": "…", "status": "firing" | "resolved" | "mixed", "count": n,
     "more": n, "notices": [{"id": "…", "status": "firing", "finding": "…", "severity": "…", …}]}

and the headers Weir-Id, Weir-Timestamp (s) and, with a secret, Weir-Signature: `sha256=` and the
hexadecimal HMAC-SHA256 of `<timestamp>.<body>`. A message may come twice: its id, and that of each
notice, are the same then. Alertmanager gets POST /api/v2/alerts, see its OpenAPI definition.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from schemas.decisions import ActionTaken
from schemas.identity import stable_id

ASKED = "remedy.notify"
WEBHOOK, ALERTMANAGER = RECEIVERS = ("webhook", "alertmanager")
FIRING, RESOLVED = "firing", "resolved"
SHOWN = 100
"""Notices that a message spells out; the rest is counted."""
_LATEST_MS = 253_402_300_799_000
"""The last second of the year 9999."""
_LABELS = ("stage", "service", "instance", "node", "metric", "rule", "tier", "severity")


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell: its id, firing or resolved, the finding, its facts and times (ms)."""

    event_id: str
    status: str
    finding: str
    app: str
    remedy: str
    summary: str
    facts: Mapping[str, str]
    since: int
    at: int

    @property
    def labels(self) -> dict[str, str]:
        """Return what identifies the alert."""
        named = {name: self.facts[name] for name in _LABELS if self.facts.get(name)}
        return {"alertname": self.facts.get("rule") or self.remedy, "app": self.app, **named} | {
            "on": self.facts.get("on", ""),
            "remedy": self.remedy,
            "finding": self.finding,
        }


def notice_of(action: ActionTaken) -> Notice:
    """Return the notice that an action of kind `remedy.notify` asks for."""
    told = {entry.key: entry.value for entry in action.parameters}
    since = told.get("since", "")
    return Notice(
        event_id=action.event_id,
        status=told.get("state", FIRING),
        finding=told.get("finding", action.event_id),
        app=action.app,
        remedy=action.policy,
        summary=action.reason,
        facts={k: v for k, v in told.items() if k not in ("state", "finding", "since", "receiver")},
        since=int(since) if since.isdecimal() and len(since) < 15 else action.taken_at,
        at=action.taken_at,
    )


def trial(now_ms: int) -> Notice:
    """Return a notice that tells of nothing but itself, and that this is over."""
    facts = {"on": "test", "rule": "weir-notify-test", "severity": "info"}
    identity = stable_id("notify", "test", now_ms)
    words = "a test of Weir's notifications"
    return Notice(identity, RESOLVED, "test", "", "test", words, facts, now_ms, now_ms)


def message_id(receiver: str, notices: Sequence[Notice]) -> str:
    """Return an id that equal messages have in common."""
    return stable_id("notify", receiver, *(one.event_id for one in notices))


def webhook_body(identity: str, notices: Sequence[Notice]) -> bytes:
    """Return the JSON of a message."""
    statuses = {one.status for one in notices}
    apps = {one.app for one in notices}
    plain = {
        "version": 1,
        "id": identity,
        "app": apps.pop() if len(apps) == 1 else "",
        "status": statuses.pop() if len(statuses) == 1 else "mixed",
        "count": len(notices),
        "more": max(0, len(notices) - SHOWN),
        "notices": [_plain(one) for one in notices[:SHOWN]],
    }
    return json.dumps(plain, ensure_ascii=False).encode()


def webhook_headers(identity: str, body: bytes, secret: str, now_ms: int) -> dict[str, str]:
    """Return the headers of a message, signed where there is a secret."""
    at = str(now_ms // 1000)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "weir-notify/1",
        "Weir-Id": identity,
        "Weir-Timestamp": at,
    }
    if secret:
        signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
        headers["Weir-Signature"] = f"sha256={signed.hexdigest()}"
    return headers


def alerts_body(notices: Sequence[Notice], ends_ms: int) -> bytes:
    """Return alerts; those that fire end at `ends_ms` (ms) unless they are told again before."""
    return json.dumps([_alert(one, ends_ms) for one in notices], ensure_ascii=False).encode()


def instant(ms: int) -> str:
    """Return an instant as RFC 3339 has it; one that it does not know as the nearest it does."""
    told = datetime.fromtimestamp(min(max(ms, 0), _LATEST_MS) / 1000, timezone.utc)
    return told.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(one: Notice) -> dict[str, Any]:
    ended = {"ended_at": instant(one.at)} if one.status == RESOLVED else {}
    return {
        "id": one.event_id,
        "status": one.status,
        "finding": one.finding,
        "app": one.app,
        "summary": one.summary,
        "remedy": one.remedy,
        "starts_at": instant(one.since),
        **ended,
        **one.facts,
    }


def _alert(one: Notice, ends_ms: int) -> dict[str, Any]:
    starts = min(one.since, one.at)
    ends = max(one.at, starts) if one.status == RESOLVED else max(ends_ms, starts)
    return {
        "labels": {name: value for name, value in one.labels.items() if value},
        "annotations": {"summary": one.summary, "suspect": one.facts.get("suspect", "")},
        "startsAt": instant(starts),
        "endsAt": instant(ends),
    }
