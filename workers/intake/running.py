"""The intake as a process: an HTTP server, scrapers and a reader of reports around one receiver."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack

import aiohttp
from aiohttp import web

from schemas.codec import Codec
from schemas.errors import ContractError
from schemas.observing import MetricReport
from schemas.signals import LogReported, SpanReported
from schemas.topics import home_of
from workers.errors import HostStopped, WorkerError
from workers.intake.delivering import Delivery
from workers.intake.http_server import server
from workers.intake.qoa4ml_topic import ReportTopic
from workers.intake.receiving import Receiver
from workers.intake.scraping import Scraper
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import IntakeSettings, Settings
from workers.telemetry import logger

TRY_S = 1.0
ASK_S = 2.0
TURN_S = 0.1
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_FIRST = (
    MetricReport(event_time=0, app="", metric="", value=0.0),
    LogReported(event_time=0, app=""),
    SpanReported(started_at=0, duration_ms=0.0, app="", name="", trace_id="", span_id=""),
)
"""What is encoded, not sent, so that the schemas are known before the first report comes."""

log = logger(__name__)


class Intake:
    """Runs until it is told to stop. `ready` when Kafka and the registry are reached.

    `port` is where it listens, once it does.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own: IntakeSettings = settings.intake
        self._topic = settings.intake.qoa4ml_topic
        self._ready = False
        self._delivery: Delivery | None = None
        self.port = 0

    @property
    def ready(self) -> bool:
        """Whether reports are taken."""
        return self._ready and self.live

    @property
    def live(self) -> bool:
        """Whether events can still be sent."""
        return self._delivery is None or not self._delivery.fatal

    def run(self, stop: threading.Event) -> None:
        """Serve and scrape until `stop` is set, then deliver what is on its way.

        Raises WorkerError when something ends that must not: a port that is taken, a target
        without an application, a topic that may not be read.
        """
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        registry = Registry(self._settings.registry)
        codec = registry.codec()
        own = self._own
        delivery = Delivery(self._settings.kafka, codec, own.buffer_events, own.answer_s)
        self._delivery = delivery
        receiver = Receiver(own, delivery)
        try:
            async with AsyncExitStack() as stack:
                session = await stack.enter_async_context(aiohttp.ClientSession())
                scrapers = [Scraper(target, receiver, session) for target in own.targets]
                await self._listen(receiver, stack)
                await self._work(codec, receiver, scrapers, stop)
        finally:
            self._ready = False
            await asyncio.to_thread(delivery.close, own.answer_s + 1)
            registry.close()

    async def _listen(self, receiver: Receiver, stack: AsyncExitStack) -> None:
        own = self._own
        runner = server(receiver, lambda: self.ready, own.answer_s)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, own.host, own.port)
        try:
            await site.start()
        except OSError as error:
            raise HostStopped(
                f"cannot listen on {own.host}:{own.port}: {error.strerror}; say --port or "
                "WEIR_INTAKE__PORT"
            ) from error
        self.port = runner.addresses[0][1]
        if own.host not in LOOPBACK and not own.token.get_secret_value():
            log.warning("intake.open", host=own.host, hint="set WEIR_INTAKE__TOKEN")
        log.info("intake.listens", host=own.host, port=self.port)

    async def _work(
        self, codec: Codec, receiver: Receiver, scrapers: Sequence[Scraper], stop: threading.Event
    ) -> None:
        """Reach Kafka, then scrape and read, until told to stop or until one of these fails."""
        over = asyncio.create_task(self._stopped(stop))
        reach = asyncio.create_task(self._reach(codec))
        await asyncio.wait({over, reach}, return_when=asyncio.FIRST_COMPLETED)
        if not reach.done():
            reach.cancel()
            return over.result()
        scrapes = {asyncio.create_task(scraper.run()) for scraper in scrapers}
        reads = {asyncio.create_task(self._read_reports(receiver, stop))} if self._topic else set()
        tasks = {over, *scrapes, *reads}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        for scrape in scrapes:
            scrape.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        return None

    async def _stopped(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if not self.live and self._delivery is not None:
                raise HostStopped(f"events can be sent no more: {self._delivery.fatal}")
            await asyncio.sleep(TURN_S)

    async def _reach(self, codec: Codec) -> None:
        """Become ready when Kafka has the topics and the registry the schemas."""
        told = ""
        while True:
            try:
                await asyncio.to_thread(self._look, codec)
            except (WorkerError, ContractError) as error:
                if str(error) != told:
                    log.warning("intake.waits", reason=str(error))
                told = str(error)
                await asyncio.sleep(TRY_S)
            else:
                self._ready = True
                log.info("intake.ready")
                return

    def _look(self, codec: Codec) -> None:
        found = kafka.partition_counts(self._settings.kafka, ASK_S)
        missing = {home_of(type(event)).name for event in _FIRST} - found.keys()
        if missing:
            raise kafka.no_topic(self._settings.kafka, missing)
        for event in _FIRST:
            codec.encode(event)

    async def _read_reports(self, receiver: Receiver, stop: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        cluster = await asyncio.to_thread(kafka.cluster_id, self._settings.kafka)
        if self._topic not in await asyncio.to_thread(kafka.partition_counts, self._settings.kafka):
            log.warning("intake.no_topic", topic=self._topic, hint="it is read once it is there")
        topic = ReportTopic(self._settings.kafka, self._topic, receiver, loop, cluster)
        await asyncio.to_thread(topic.run, stop)
