"""Do the clocks agree: ours, the registry's, ClickHouse's, and those that stamped records?"""

import http.client
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from streams.doctor.findings import Finding, fail, few, ok, skip, span, warn
from streams.doctor.installation import Site
from workers.clickhouse import connect
from workers.errors import KafkaUnavailable, Unavailable
from workers.kafka.ends import End
from workers.kafka.groups import Place

OFF_MS = 2_000
FAR_OFF_MS = 60_000
"""An event further ahead of its record's timestamp is a dead letter."""
_CALL_S = 5.0
_SECOND_MS = 1_000
_SYNC = "synchronise clocks: timedatectl set-ntp true, or chronyc makestep, on "


@dataclass(frozen=True, slots=True)
class Facts:
    """How far each server's clock is ahead of ours, ms, and how uncertain that is; or why unknown.

    `newest` are the ends with their newest records, read at `now_ms`; none when Kafka is away.
    """

    ahead: Mapping[str, tuple[float, float] | str]
    newest: Mapping[Place, End]
    now_ms: int


def gather(site: Site) -> Facts:
    """Ask each server for the time."""
    asked = {"registry": _of_registry, "clickhouse": _of_clickhouse}
    ahead = {name: _measured(site, ask) for name, ask in asked.items()}
    try:
        newest = site.ends_now()
    except KafkaUnavailable as error:
        return Facts(ahead | {"records": str(error)}, {}, site.now_ms())
    return Facts(ahead, newest, site.now_ms())


def _measured(site: Site, ask: Callable[[Site], tuple[float, float]]) -> tuple[float, float] | str:
    """Return how far a clock is ahead and the uncertainty, ms, or why it cannot be told."""
    begun, at = time.monotonic(), site.now_ms()
    try:
        theirs, grain = ask(site)
    except (Unavailable, OSError, ValueError, TypeError, http.client.HTTPException) as error:
        return str(error)
    took = (time.monotonic() - begun) * 1000
    return theirs - (at + took / 2), took / 2 + grain


def _of_clickhouse(site: Site) -> tuple[float, float]:
    with closing(connect(site.settings.clickhouse)) as database:
        ((now,),) = database.query("SELECT toUnixTimestamp64Milli(now64(3))").rows
    return float(now), 0.0


def _of_registry(site: Site) -> tuple[float, float]:
    """Return what the header Date says, which every answer has, also a refusal; in seconds."""
    url = urlsplit(site.settings.registry.url)
    host = url.hostname or ""
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=site.settings.registry.ssl_ca or None)
        client: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, url.port, timeout=_CALL_S, context=context
        )
    else:
        client = http.client.HTTPConnection(host, url.port, timeout=_CALL_S)
    with closing(client):
        client.request("GET", url.path or "/")
        told = client.getresponse().getheader("Date") or ""
    return parsedate_to_datetime(told).timestamp() * 1000 + _SECOND_MS / 2, _SECOND_MS / 2


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    found = [each for name, how in facts.ahead.items() for each in _server(name, how)]
    found += _records(facts)
    appended = {place[0] for place, end in facts.newest.items() if end.appended}
    if appended:
        told = f"records of {few(appended)} carry the broker's time (LogAppendTime)"
        found.append(ok("records", told, "events are judged late or early against that clock"))
    return found or [ok("clocks", "they agree within 2 s, and no record is ahead")]


def _server(name: str, how: tuple[float, float] | str) -> list[Finding]:
    if isinstance(how, str):
        return [skip(name, f"no clock can be told: {how}")]
    ahead, uncertain = how
    sure = abs(ahead) - uncertain
    if sure < OFF_MS:
        return []
    told = f"its clock is {span(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} ours"
    why = "heartbeats, deadlines and windows compare instants of several machines"
    say = fail if sure >= FAR_OFF_MS else warn
    return [say(name, told, why, f"{_SYNC}this machine and that of {name}")]


def _records(facts: Facts) -> list[Finding]:
    early = {
        place: end.newest_ms - facts.now_ms
        for place, end in facts.newest.items()
        if end.newest_ms is not None and end.newest_ms - facts.now_ms >= OFF_MS
    }
    if not early:
        return []
    (topic, number), most = max(early.items(), key=lambda item: item[1])
    who = "the broker's" if facts.newest[(topic, number)].appended else "its producer's"
    told = f"the newest record of {topic}/{number} is {span(most)} in the future"
    why = f"{who} clock is ahead, or ours is behind; {len(early)} partitions have such records"
    say = fail if most >= FAR_OFF_MS else warn
    return [
        say("records", told, why, f"{_SYNC}the machines that write {few({p[0] for p in early})}")
    ]
