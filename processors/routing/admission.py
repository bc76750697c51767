"""Who may ask for what: the reasons for which a request is rejected."""

from processors.routing.state import Bucket
from schemas.catalogue import Catalogue
from schemas.inference import InferenceRequest
from schemas.registrations import ApplicationRegistered, ConsumerRegistered
from schemas.topics import TASKS_PREFIX, TOPICS

RESPONSES = "weir.responses"


def refusal(request: InferenceRequest, app: ApplicationRegistered, catalogue: Catalogue) -> str:
    """Return why a request for a known application is refused, or '' when it may pass."""
    reply = request.reply_to_topic
    if reply and reply != RESPONSES and is_own(reply):
        return f"reply_to_topic {reply} is one of Weir's own; name a topic of your own"
    consumer = catalogue.get(ConsumerRegistered, request.consumer)
    if consumer is None:
        return ""
    if consumer.apps and request.app not in consumer.apps:
        allowed = ", ".join(consumer.apps)
        return f"consumer {consumer.consumer} may not use {request.app}; allowed: {allowed}"
    wanted = {stage.modality for stage in app.stages if stage.modality and not stage.inputs}
    refused = sorted(wanted - set(consumer.modalities)) if consumer.modalities else []
    if refused:
        return f"consumer {consumer.consumer} may not send {', '.join(refused)}"
    return ""


def is_own(topic: str) -> bool:
    """Tell whether a topic is one of Weir's, to which nobody may have answers directed."""
    return topic in TOPICS or topic.startswith(TASKS_PREFIX)


def priority_of(request: InferenceRequest, catalogue: Catalogue) -> int:
    """Return the priority in force: a registered consumer's own is the most it may ask for."""
    consumer = catalogue.get(ConsumerRegistered, request.consumer)
    return request.priority if consumer is None else min(request.priority, consumer.priority)


class Rates:
    """Token buckets of the consumers whose registration limits their rate.

    Each of the `partitions` routers grants its share of the rate, and a burst of one second of
    it, at least one request: request ids spread a consumer's requests evenly.
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
        burst = max(1.0, rate)
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
