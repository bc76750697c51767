"""What the gateway counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

CALLS = Counter("weir_gateway_calls_total", "Calls by path and status.", ("path", "status"))
INSIDE = Gauge("weir_gateway_requests_under_way", "Requests that wait for their answer.")
ANSWER_S = Histogram(
    "weir_gateway_answer_seconds", "From a call to its answer, s.", buckets=_SECONDS
)
ADDED_S = Histogram(
    "weir_gateway_added_seconds",
    "What a call takes beyond the latency that its answer tells, s.",
    buckets=_SECONDS,
)
