"""How often consumers may ask: token buckets."""

from processors.routing.state import Bucket
from schemas.catalogue import Catalogue
from schemas.registrations import ConsumerRegistered


class Rates:
    """Token buckets of the consumers whose registration limits their rate.

    Each of the `partitions` routers grants its share of the rate and of the burst, which is one
    second of the rate unless the registration says another, at least one request: request ids
    spread a consumer's requests evenly.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._buckets: dict[str, Bucket] = {}

    def exceeded(self, name: str, catalogue: Catalogue, now_ms: int) -> str:
        """Take one token; return why that is refused, or ''."""
        consumer = catalogue.get(ConsumerRegistered, name)
        if consumer is None or consumer.rate_per_s is None:
            return ""
        rate = consumer.rate_per_s / self._partitions
        burst = max(1.0, consumer.burst / self._partitions if consumer.burst > 0 else rate)
        bucket = self._buckets.setdefault(name, Bucket(consumer=name, tokens=burst, at=now_ms))
        earned = max(0, now_ms - bucket.at) / 1000 * rate
        bucket.tokens = min(burst, bucket.tokens + earned)
        bucket.at = max(bucket.at, now_ms)
        if bucket.tokens < 1.0:
            return f"consumer {name} exceeds its rate of {consumer.rate_per_s:g} requests a second"
        bucket.tokens -= 1.0
        return ""

    def forget_removed(self, catalogue: Catalogue) -> None:
        """Drop the buckets of consumers that are no longer registered."""
        known = catalogue.of(ConsumerRegistered)
        self._buckets = {name: b for name, b in self._buckets.items() if name in known}

    def buckets(self) -> tuple[Bucket, ...]:
        """Return the buckets for a snapshot, by name."""
        return tuple(self._buckets[name] for name in sorted(self._buckets))

    def restore(self, buckets: tuple[Bucket, ...]) -> None:
        """Take over buckets."""
        self._buckets = {bucket.consumer: bucket for bucket in buckets}
