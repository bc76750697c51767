"""What the hosts of a process count, for Prometheus; read by whoever serves the registry."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("weir_host_messages", "Messages applied or refused", ["processor"])
OUTPUTS = Counter("weir_host_outputs", "Events sent, dead letters included", ["processor"])
BAD = Counter("weir_host_dead_letters", "Messages refused", ["processor"])
MOVED = Counter("weir_host_moved", "Messages sent to the partition of their key", ["processor"])
ABORTS = Counter("weir_host_aborts", "Times that work was done again", ["processor"])
LAG = Gauge("weir_host_lag", "Offsets not yet applied", ["processor", "topic", "partition"])
BATCH_SECONDS = Histogram(
    "weir_host_batch_seconds",
    "Time to apply a batch of messages",
    ["processor"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
COMMIT_SECONDS = Histogram(
    "weir_host_commit_seconds",
    "Time to make outputs, snapshots and offsets safe",
    ["processor"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
