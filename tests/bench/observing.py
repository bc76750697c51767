"""Runs observe on the batch host over weir.metrics: `observing BOOTSTRAP REGISTRY COUNT`.

Prints the CPU seconds between the first message and the last commit, everything included:
decoding, windows, observations, transactions.
"""

import sys
import threading
import time

from prometheus_client import REGISTRY

from processors.observing.observe import spec
from tests.bench.measure import cpu_seconds
from workers.hosting.host import BatchHost
from workers.settings import KafkaSettings, RegistrySettings, Settings


def applied() -> float:
    """Return how many messages the host has applied."""
    return REGISTRY.get_sample_value("weir_host_messages_total", {"processor": "observe"}) or 0.0


def main(bootstrap: str, url: str, count: int) -> None:
    """Observe `count` messages."""
    settings = Settings(
        kafka=KafkaSettings(bootstrap=bootstrap), registry=RegistrySettings(url=url)
    )
    stop = threading.Event()
    host = BatchHost(spec(), settings)
    thread = threading.Thread(target=host.run, args=(stop,))
    thread.start()
    while not host.ready:
        time.sleep(0.005)
    begun = cpu_seconds()
    while applied() < count and thread.is_alive():
        time.sleep(0.02)
    stop.set()
    thread.join()
    if applied() < count:
        raise SystemExit(f"the host ended after {applied():.0f} of {count} messages")
    print(cpu_seconds() - begun)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
