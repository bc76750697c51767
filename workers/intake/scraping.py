"""Scrapes Prometheus endpoints, each in turn of its own, and says of each whether it is up.

A scrape begins at a random moment of its first turn, so that many targets are not asked at once.
What Kafka does not take of a scrape is lost but for totals, whose increase the next one has.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from functools import partial
from urllib.parse import parse_qsl, urldefrag, urlsplit, urlunsplit

import aiohttp
from prometheus_client.metrics_core import Metric

from workers.errors import WorkerError
from workers.intake import intake_metrics as metrics
from workers.intake import prometheus_text
from workers.intake.deltas import Busy, Draft
from workers.intake.naming import canonical, who
from workers.intake.prometheus_text import Origin, Unreadable
from workers.intake.receiving import Receiver
from workers.intake.translated import Translated
from workers.settings import TargetSection
from workers.telemetry import logger

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
CHUNK = 65_536

log = logger(__name__)


class NoApplication(WorkerError):
    """A target does not say for which application its series are."""


class _Failed(Exception):
    """A scrape failed; the message says why."""


def target_of(url: str, every_s: float) -> TargetSection:
    """Return the target in a URL; what follows a '#' are its labels, `#app=shop&node=edge-1`.

    Raises ValueError for what is no URL.
    """
    plain, fragment = urldefrag(url)
    timeout_s = min(5.0, every_s)
    return TargetSection(
        url=plain, every_s=every_s, timeout_s=timeout_s, labels=dict(parse_qsl(fragment))
    )


def origin_of(target: TargetSection) -> Origin:
    """Return where a target's series come from; its instance is host and port unless it says.

    Name and password in the URL are left out.
    """
    parts = urlsplit(target.url)
    place = parts.netloc.rpartition("@")[2]
    labels: Mapping[str, str] = {"instance": place}
    return Origin(urlunsplit(parts._replace(netloc=place)), {**labels, **target.labels})


class Scraper:
    """Scrapes one target. Raises NoApplication when nothing says whose its series are."""

    def __init__(
        self, target: TargetSection, receiver: Receiver, session: aiohttp.ClientSession
    ) -> None:
        self._target = target
        self._receiver = receiver
        self._session = session
        self._origin = origin_of(target)
        labels = {canonical(name): value for name, value in self._origin.labels.items()}
        if who(receiver.terms.names, labels) is None:
            raise NoApplication(
                f"{self._origin.url} names no application: say #app=NAME behind the URL, "
                "labels.app in the settings, or --app for all"
            )
        self._failure = ""

    async def run(self) -> None:
        """Scrape until cancelled; turns that a slow scrape missed are left out."""
        every_s = self._target.every_s
        due = time.monotonic() + random.uniform(0, every_s)  # noqa: S311 - spreads load, no secret
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.scrape()
            missed = int((time.monotonic() - due) / every_s)
            due += (missed + 1) * every_s

    async def scrape(self) -> None:
        """Scrape once, and send what was found and whether it was up."""
        began = time.perf_counter()
        try:
            found = await self._found()
        except (_Failed, Unreadable) as error:
            self._tell(str(error))
            await self._take(partial(self._down, (time.perf_counter() - began) * 1000))
            return
        self._tell("")
        took_ms = (time.perf_counter() - began) * 1000
        await self._take(partial(self._up, found, took_ms))

    async def _found(self) -> list[Metric]:
        found = prometheus_text.families(*await self._fetch())
        samples, most = prometheus_text.samples_in(found), self._receiver.settings.max_points
        if samples > most:
            raise _Failed(f"{samples} samples; at most {most} are taken")
        return found

    async def _fetch(self) -> tuple[str, str]:
        """Return body and content type. Raises _Failed."""
        limit = aiohttp.ClientTimeout(total=self._target.timeout_s)
        most = self._receiver.settings.max_body
        try:
            async with self._session.get(
                self._target.url, timeout=limit, headers={"Accept": ACCEPT}, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise _Failed(f"status {response.status}")
                body = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK):
                    body += chunk
                    if len(body) > most:
                        raise _Failed(f"more than {most} bytes")
                return body.decode("utf-8"), response.headers.get("Content-Type", "")
        except asyncio.TimeoutError as error:
            raise _Failed(f"no answer within {self._target.timeout_s:g} s") from error
        except UnicodeDecodeError as error:
            raise _Failed(f"not UTF-8: {error}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _Failed(str(error) or type(error).__name__) from error

    def _tell(self, failure: str) -> None:
        """Count how it ended, and log when that changes."""
        outcome = "failed" if failure else "ok"
        metrics.SCRAPES.labels(self._origin.url, outcome).inc()
        if failure and failure != self._failure:
            log.warning("intake.scrape_failed", target=self._origin.url, reason=failure)
        elif self._failure and not failure:
            log.info("intake.scrape_works_again", target=self._origin.url)
        self._failure = failure

    def _down(self, took_ms: float, _: Draft, now_ms: int) -> Translated:
        values = {"up": 0.0, "scrape_duration_ms": took_ms}
        return prometheus_text.own(self._origin, self._receiver.terms, now_ms, values)

    def _up(self, found: list[Metric], took_ms: float, draft: Draft, now_ms: int) -> Translated:
        terms = self._receiver.terms
        out = prometheus_text.translate(found, self._origin, terms, draft, now_ms)
        values = {"up": 1.0, "scrape_duration_ms": took_ms}
        out.events += prometheus_text.own(self._origin, terms, now_ms, values).events
        return out

    async def _take(self, translate: "partial[Translated]") -> None:
        made = 0

        def counted(draft: Draft, now_ms: int) -> Translated:
            nonlocal made
            found = translate(draft, now_ms)
            made = len(found.events)
            return found

        try:
            await self._receiver.take("scrape", counted)
        except (WorkerError, Busy) as error:
            metrics.LOST.labels("scrape").inc(made)
            log.warning("intake.scrape_lost", target=self._origin.url, reason=str(error))
