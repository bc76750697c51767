"""Request to response at shares of what the stack can answer; that capacity is found first.

One application with one member, one worker; its model, three numbers and their largest, takes
less than a tenth of a millisecond, so that the figures are what Weir adds. A rate is kept up with
when 99 % of its requests are answered completely within their deadline of a second, and latency
does not grow. Every share is then asked for in a run of its own. See `request_source` for what a
latency is.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected
from schemas.registrations import InstanceReported
from streams.bench import registering
from streams.bench.figures import capacity, keeps_up, percentiles
from streams.bench.ledger_app import MODEL
from streams.bench.sources import Requests
from streams.embedded.stack import Stack
from streams.entries import Entries
from streams.errors import StreamsError
from workers.clickhouse import connect
from workers.clock import wall_ms
from workers.kafka.clients import cluster_id

APP = "bench-ask"
SHARES = {"at_10": 0.1, "at_50": 0.5, "at_90": 0.9}
MIDDLE = "at_50"
"""The share whose percentiles stand for all."""
START_PER_S, MOST_PER_S = 20.0, 2_000.0
BISECTIONS = 2
SERVING_S, SETTLE_S = 90.0, 30.0
WARM_S = 3.0
_ANSWERS = """SELECT uniqExact(request_id), uniqExact(_partition, _offset) FROM weir.responses
WHERE _cluster = {cluster:String} AND app = {app:String}"""


class NotServing(StreamsError):
    """The application that is to be asked did not come to serve; the message says what lacks."""


def measure(
    stack: Stack, run_s: float, try_s: float, seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return `response_ms`, `requests_per_s`, and how many requests were lost and doubled.

    `run_s` is the length of the run at each share, `try_s` that of one step of the search.
    Raises NotServing, SourceFailed.
    """
    _serve(stack)
    with Requests(stack.settings, APP) as requests:
        requests.run(START_PER_S, WARM_S, seed)
        found = _search(requests, try_s, seed, say)
        shares = {}
        for name, share in SHARES.items():
            run = requests.run(max(1.0, found * share), run_s, seed + 1)
            shares[name] = _told(run) | {"per_s": round(found * share, 1)}
            say(f"requests: {found * share:,.0f}/s: {shares[name]}")
        lost, doubled = _balance(stack, requests.sent)
    whole = {name: shares[MIDDLE][name] for name in ("p50", "p99")}
    return {
        "response_ms": whole | shares,
        "requests_per_s": round(found, 1),
        "lost": lost,
        "doubled": doubled,
    }


def _search(requests: Requests, try_s: float, seed: int, say: Callable[[str], None]) -> float:
    def tries(rate: float) -> bool:
        run = requests.run(rate, try_s, seed)
        why = keeps_up(run["latencies"])
        say(f"requests: {rate:,.0f}/s {why or 'kept up with'}")
        return not why

    return capacity(tries, START_PER_S, BISECTIONS, MOST_PER_S)


def _told(run: Mapping[str, Any]) -> dict[str, Any]:
    good = [one for one in run["latencies"] if one is not None]
    told: dict[str, Any] = {**percentiles(good), "requests": len(run["latencies"])}
    failed = {name: n for name, n in run["statuses"].items() if name != "complete"}
    return told | ({"failed": failed} if failed else {})


def _serve(stack: Stack) -> None:
    """Register the application and wait until it serves. Raises NotServing after 90 s."""
    now = wall_ms()
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    service = registering.service(APP, MODEL.as_uri(), digest, now)
    patience = time.monotonic() + SERVING_S
    with Entries(stack.settings) as entries:
        entries.send([replace(service, cpu_milli=300), registering.application(APP, now)])
        with entries.follow(EnsembleSelected, InstanceReported) as reader:
            while missing := _missing(reader.current()):
                stack.check()
                if time.monotonic() > patience:
                    raise NotServing(f"after {SERVING_S:.0f} s {APP} still waits for {missing}")
                time.sleep(0.1)


def _missing(catalogue: Catalogue) -> str:
    if catalogue.get(EnsembleSelected, APP) is None:
        return "an ensemble"
    instances = catalogue.of(InstanceReported).values()
    serves = any(one.app == APP and one.health == "ready" for one in instances)
    return "" if serves else "a ready instance"


def _balance(stack: Stack, sent: int) -> tuple[int, int]:
    """Return how many requests have no response in SQL, and how many responses are one too many."""
    database = connect(stack.settings.clickhouse)
    asked = {"cluster": cluster_id(stack.settings.kafka), "app": APP}
    end = time.monotonic() + SETTLE_S
    try:
        while True:
            answered, responses = database.query(_ANSWERS, asked).rows[0]
            if answered >= sent or time.monotonic() > end:
                return max(0, sent - answered), responses - answered
            time.sleep(0.5)
    finally:
        database.close()
