"""A real Prometheus endpoint as a source, and what happens when it is none."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, start_http_server

from schemas.observing import MetricReport
from streams.embedded.processes import free_port
from tests.intake.intake_world import Sink
from workers.intake.receiving import Receiver
from workers.intake.scraping import NoApplication, Scraper, origin_of, target_of
from workers.settings import IntakeSettings, TargetSection


@contextmanager
def exposing(registry: CollectorRegistry) -> Iterator[str]:
    port = free_port()
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    yield f"http://127.0.0.1:{port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join(60)


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    handler = type("Handler", (BaseHTTPRequestHandler,), {
        "do_GET": answer, "log_message": lambda *_: None,
    })  # fmt: skip
    with ThreadingHTTPServer(("127.0.0.1", free_port()), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
        server.shutdown()


def scraped(
    url: str,
    sink: Sink,
    times: int = 1,
    between: Callable[[], None] = lambda: None,
    **settings: object,
) -> None:
    """Scrape a target of application shop so often, and do something in between."""

    async def work() -> None:
        receiver = Receiver(IntakeSettings(app="shop", **settings), sink)  # type: ignore[arg-type]  # any setting
        target = TargetSection(url=url, every_s=1, timeout_s=0.5)
        async with aiohttp.ClientSession() as session:
            scraper = Scraper(target, receiver, session)
            for number in range(times):
                if number:
                    between()
                await scraper.scrape()

    asyncio.run(work())


def values(sink: Sink, metric: str) -> list[float]:
    found = [event for event in sink.events if isinstance(event, MetricReport)]
    assert {event.app for event in found} <= {"shop"}
    return [event.value for event in found if event.metric == metric]


def test_a_real_endpoint_is_up_and_tells_what_was_added() -> None:
    registry, sink = CollectorRegistry(), Sink()
    counter = Counter("reqs", "r", ["route"], registry=registry)
    histogram = Histogram("lat", "l", registry=registry)
    counter.labels("/a").inc(7)

    def more() -> None:
        counter.labels("/a").inc(3)
        histogram.observe(0.2)

    with exposing(registry) as url:
        scraped(url, sink, 3, more)
    assert values(sink, "up") == [1, 1, 1]
    assert values(sink, 'reqs_total{route="/a"}') == [3, 3]
    assert all(rate > 0 for rate in values(sink, 'reqs_total.rate{route="/a"}'))
    assert values(sink, "lat.count") == [1, 1]
    assert 0.1 <= values(sink, "lat.p50")[-1] <= 0.25
    assert all(took > 0 for took in values(sink, "scrape_duration_ms"))


def test_what_kafka_does_not_take_of_totals_comes_with_the_next_scrape() -> None:
    registry, sink = CollectorRegistry(), Sink()
    counter = Counter("reqs", "r", registry=registry)
    before = REGISTRY.get_sample_value("weir_intake_lost_total", {"source": "scrape"}) or 0.0

    def more() -> None:
        counter.inc(3)
        if sink.tried == 1:
            sink.down()

    with exposing(registry) as url:
        scraped(url, sink, 3, more)
    assert values(sink, "reqs_total") == [6]
    lost = REGISTRY.get_sample_value("weir_intake_lost_total", {"source": "scrape"})
    assert lost == before + 4


def test_nobody_there_is_down() -> None:
    sink = Sink()
    scraped(f"http://127.0.0.1:{free_port()}/metrics", sink)
    assert values(sink, "up") == [0]


def failing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(500)
    handler.end_headers()


def elsewhere(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/other")
    handler.end_headers()


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"<html>")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"# " + b"x" * 998 + b"\n")
    except OSError:
        return


def many(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"".join(b"x%d 1\n" % number for number in range(11)))


def slow(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.7)


@pytest.mark.parametrize("answer", [failing, elsewhere, nonsense, endless, many, slow])
def test_an_answer_that_is_no_exposition_is_down(
    answer: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    sink = Sink()
    with answering(answer) as url:
        scraped(url, sink, max_points=10, max_body=100_000)
    assert values(sink, "up") == [0]
    assert len(sink.events) == 2


def test_targets_are_scraped_again_and_again() -> None:
    registry, sink = CollectorRegistry(), Sink()

    async def work(url: str) -> None:
        receiver = Receiver(IntakeSettings(app="shop"), sink)
        target = TargetSection(url=url, every_s=0.1)
        async with aiohttp.ClientSession() as session:
            running = asyncio.create_task(Scraper(target, receiver, session).run())
            async with asyncio.timeout(10):
                while len(values(sink, "up")) < 3:
                    await asyncio.sleep(0.01)
            running.cancel()

    with exposing(registry) as url:
        asyncio.run(work(url))
    assert set(values(sink, "up")) == {1}


def test_a_url_can_carry_labels() -> None:
    target = target_of("http://edge-1:9100/metrics?a=1#app=shop&node=edge-1&stage=", 2.0)
    assert (target.url, target.every_s, target.timeout_s) == (
        "http://edge-1:9100/metrics?a=1", 2.0, 2.0,
    )  # fmt: skip
    origin = origin_of(target)
    assert origin.labels == {"app": "shop", "node": "edge-1", "instance": "edge-1:9100"}


def test_secrets_in_a_url_are_shown_nowhere() -> None:
    sink, port = Sink(), free_port()
    scraped(f"http://me:secret@127.0.0.1:{port}/m", sink)
    assert {event.instance for event in sink.events} == {f"127.0.0.1:{port}"}  # type: ignore[attr-defined]  # all are metrics
    target = f"http://127.0.0.1:{port}/m"
    named = {"target": target, "outcome": "failed"}
    assert REGISTRY.get_sample_value("weir_intake_scrapes_total", named) == 1


@pytest.mark.parametrize("url", ["ftp://h/m", "h:9100/metrics", "http:///m"])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        target_of(url, 1)


def test_a_target_must_name_its_application() -> None:
    async def made() -> None:
        async with aiohttp.ClientSession() as session:
            Scraper(target_of("http://h:1/m", 1), Receiver(IntakeSettings(), Sink()), session)

    with pytest.raises(NoApplication, match="#app=NAME"):
        asyncio.run(made())
