"""Takes what translations give: sends it, counts it, and keeps totals in step with that."""

import time
from collections.abc import Callable

from workers.clock import wall_ms
from workers.intake import intake_metrics as metrics
from workers.intake.delivering import Retry, Sender
from workers.intake.deltas import Deltas, Draft
from workers.intake.naming import Names, listed
from workers.intake.translated import Terms, Translated
from workers.settings import IntakeSettings

BURST_S = 2.0
"""What was not used of the rate may be used within so long."""


class TooFast(Retry):
    """More events a second than the rate allows."""


class Bucket:
    """Lets a number of events a second pass, and what was saved in two seconds at once.

    What passes may take more than there is: a large report is let through and paid for after.
    Time is given in seconds, from any start.
    """

    def __init__(self, rate_per_s: float, now_s: float) -> None:
        self._rate = rate_per_s
        self._left = rate_per_s * BURST_S
        self._at = now_s

    def take(self, count: int, now_s: float) -> bool:
        """Tell whether so many events may pass now; without a rate all may."""
        if not self._rate:
            return True
        self._left = min(self._rate * BURST_S, self._left + (now_s - self._at) * self._rate)
        self._at = now_s
        if self._left <= 0:
            return False
        self._left -= count
        return True


def terms_of(settings: IntakeSettings) -> Terms:
    """Return the terms of translation that settings say."""
    kept = None if settings.labels.strip() == "*" else frozenset(listed(settings.labels))
    names = Names(
        listed(settings.app_from),
        listed(settings.stage_from),
        listed(settings.service_from),
        listed(settings.instance_from),
        listed(settings.node_from),
        settings.app,
        kept,
    )
    quantiles = tuple(float(part) for part in settings.quantiles.split(",") if part)
    return Terms(names, quantiles, settings.log_rate, settings.span_rate)


class Receiver:
    """Where all that is taken goes through; for one event loop."""

    def __init__(self, settings: IntakeSettings, sender: Sender) -> None:
        self.settings = settings
        self.terms = terms_of(settings)
        self._sender = sender
        self._deltas = Deltas(settings.max_series, time.time_ns())
        self._bucket = Bucket(settings.rate_per_s, time.monotonic())

    async def take(self, source: str, translate: Callable[[Draft, int], Translated]) -> Translated:
        """Return what a translation gave, when Kafka has its events.

        `translate` gets a draft for totals and the clock in ms. Raises Busy, TooFast, Full,
        Undelivered: then nothing has been taken, and the same may be given again; Unfit.
        """
        began, now_ms = time.perf_counter(), wall_ms()
        with self._deltas.draft(now_ms) as draft:
            found = translate(draft, now_ms)
            if not self._bucket.take(len(found.events), time.monotonic()):
                raise TooFast(f"more than {self.settings.rate_per_s:g} events a second; slow down")
            await self._sender.send(found.events)
            draft.commit()
        self._count(source, found, time.perf_counter() - began)
        return found

    def _count(self, source: str, found: Translated, took_s: float) -> None:
        metrics.EVENTS.labels(source).inc(len(found.events))
        for reason, count in found.refused.items():
            metrics.REFUSED.labels(source, reason).inc(count)
        for reason, count in found.passed.items():
            metrics.PASSED.labels(source, reason).inc(count)
        metrics.SERIES.set(len(self._deltas))
        metrics.SECONDS.labels(source).observe(took_s)
