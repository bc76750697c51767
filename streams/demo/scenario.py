"""The demonstration's course: build, start, register, send, and tell what happened."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected
from schemas.registrations import InstanceReported
from streams.demo import application, models, queries, summary
from streams.demo.evidence import watched
from streams.demo.live import Screen
from streams.demo.models import Model, Pool
from streams.demo.traffic import Plan, Traffic
from streams.embedded.stack import Stack
from streams.entries import Entries
from streams.errors import StreamsError
from workers.clickhouse import connect
from workers.client import Client
from workers.kafka.clients import cluster_id
from workers.settings import Settings

CORRUPT_SHARE = 0.36
"""Share of the traffic after which the input is corrupted."""
START_TIMEOUT_S = 90.0
SETTLE_TIMEOUT_S = 60.0
LAST_WINDOWS_MS = 2_000
"""The windows that the last answers fall into are closed by no later event."""
QUIET_S = 1.0


class DemoFailed(StreamsError):
    """The demonstration could not be carried through; the message says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    seed: int
    seconds: float
    rate: float
    corruption: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened, for the summary and the report."""

    summary: dict[str, Any]
    answers: queries.Rows
    decisions: queries.Rows
    services: queries.Rows
    started_at: int
    corrupted_at: int | None


Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Built:
    """The models of a seed, and the images that are asked about."""

    models: list[Model]
    pool: Pool


def build(options: Options, settings: Settings, say: Say) -> Built:
    """Train and export the models of the seed, unless the data directory holds them."""
    folder = settings.data_dir.absolute() / "models"
    return Built(*models.build(options.seed, folder, lambda name: say(f"training {name}")))


def run(
    stack: Stack,
    options: Options,
    built: Built,
    say: Say,
    screen: Callable[[queries.Ask, str], Screen] | None,
) -> Outcome:
    """Carry the demonstration through on a stack that is ready.

    Raises DemoFailed when no ensemble serves in time.
    """
    started = time.monotonic()
    with ExitStack() as open_things:
        client = open_things.enter_context(Client(stack.settings))
        ask = _asker(stack.settings, open_things)
        run_id = f"seed-{options.seed}-{_now_ms()}"
        entries = open_things.enter_context(Entries(stack.settings))
        entries.send(application.registrations(built.models, run_id, "demo", _now_ms()))
        say("waiting for the first ensemble to serve")
        await_serving(entries, stack)
        traffic = _send(options, built.pool, client, ask, screen)
        say("waiting for the last answers, and what follows from them, to reach SQL")
        _settle(ask, traffic.sent, traffic.ended_at)
        return _outcome(ask, options, traffic, time.monotonic() - started)


def _send(
    options: Options,
    pool: Pool,
    client: Client,
    ask: queries.Ask,
    screen: Callable[[queries.Ask, str], Screen] | None,
) -> Traffic:
    plan = Plan(
        app=application.APP,
        contract=application.CONTRACT,
        consumer=application.CONSUMER,
        seed=options.seed,
        rate=options.rate,
        seconds=options.seconds,
        corruption=options.corruption or "rotation",
        corrupt_after=options.seconds * CORRUPT_SHARE if options.corruption else None,
    )
    traffic = Traffic(plan, pool, client)
    with watched(plan, traffic, ask) as enough:
        if screen is None:
            traffic.run(enough, lambda _: None)
        else:
            with screen(ask, application.APP) as shown:
                traffic.run(enough, shown.tick)
    if not client.flush() or client.undelivered:
        raise DemoFailed(f"the broker did not take {client.undelivered} messages")
    return traffic


def await_serving(entries: Entries, stack: Stack) -> None:
    """Wait until every member of the application's ensemble has a ready instance.

    Raises DemoFailed, saying what is missing, when that takes more than 90 s.
    """
    patience = time.monotonic() + START_TIMEOUT_S
    with entries.follow(EnsembleSelected, InstanceReported) as reader:
        while missing := _missing(reader.current()):
            stack.check()
            if time.monotonic() > patience:
                raise DemoFailed(
                    f"after {START_TIMEOUT_S:.0f} s still waiting for {missing}; "
                    f"the logs in {stack.settings.data_dir}/logs say more"
                )
            time.sleep(0.1)


def _missing(catalogue: Catalogue) -> str:
    ensemble = catalogue.get(EnsembleSelected, application.APP)
    if ensemble is None:
        return "a first ensemble"
    ready = {i.service for i in catalogue.of(InstanceReported).values() if i.health == "ready"}
    return ", ".join(sorted({member.service for member in ensemble.members} - ready))


def _settle(ask: queries.Ask, sent: int, until: int) -> None:
    """Wait until all that was sent is answered and judged, and nothing follows from it any more.

    A machine that is busy may judge long after it has answered. `until` is when (ms) the last was
    sent. After 60 s what has come is told.
    """
    patience = time.monotonic() + SETTLE_TIMEOUT_S
    last, since = queries.Rows(), time.monotonic()
    while (now := time.monotonic()) < patience:
        found = ask(queries.PROGRESS, {"app": application.APP})
        last, since = found, since if found == last else now
        if _all_there(found[0], sent, until) and now - since >= QUIET_S:
            return
        time.sleep(0.25)


def _all_there(progress: Mapping[str, Any], sent: int, until: int) -> bool:
    answered = min(int(progress["requests"]), int(progress["responses"]))
    return answered >= sent and int(progress["judged_until"]) >= until - LAST_WINDOWS_MS


def _outcome(ask: queries.Ask, options: Options, traffic: Traffic, seconds: float) -> Outcome:
    app = {"app": application.APP}
    told = summary.summarise(ask, application.APP, options.seed, traffic.corrupted_at, seconds)
    return Outcome(
        summary=told,
        answers=ask(queries.ANSWERS, app),
        decisions=ask(queries.DECISIONS, app),
        services=ask(queries.SERVICES, app),
        started_at=traffic.started_at,
        corrupted_at=traffic.corrupted_at,
    )


def _asker(settings: Settings, open_things: ExitStack) -> queries.Ask:
    lock = threading.Lock()
    told = {"cluster": cluster_id(settings.kafka), "began": _now_ms()}
    database = connect(settings.clickhouse)
    open_things.callback(database.close)

    def ask(sql: str, parameters: Mapping[str, Any]) -> queries.Rows:
        with lock:
            return database.query(sql, {**told, **parameters}).records()

    return ask


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
