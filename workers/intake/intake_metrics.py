"""What the intake counts, for Prometheus; nothing is dropped that is not counted here."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("weir_intake_events", "Events that Kafka has", ["source"])
REFUSED = Counter(
    "weir_intake_refused", "Points, logs, spans and reports that were refused", ["source", "reason"]
)
PASSED = Counter(
    "weir_intake_passed", "Points, logs and spans that give no event", ["source", "reason"]
)
LOST = Counter("weir_intake_lost", "Events that nobody sends again", ["source"])
REQUESTS = Counter("weir_intake_requests", "Requests by answer", ["path", "status"])
SCRAPES = Counter("weir_intake_scrapes", "Scrapes by how they ended", ["target", "outcome"])
PENDING = Gauge("weir_intake_pending", "Events on their way to Kafka")
SERIES = Gauge("weir_intake_series", "Cumulative series that are remembered")
SECONDS = Histogram(
    "weir_intake_seconds",
    "Time from a report to its events being in Kafka",
    ["source"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
