"""Reads each value of weir.metrics and does nothing with it: `raw_reader BOOTSTRAP COUNT`.

The floor of any Python data plane on Kafka. Prints the CPU seconds between the first message and
the last.
"""

import sys

from tests.bench.measure import cpu_seconds
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings


def main(bootstrap: str, count: int) -> None:
    """Read `count` messages."""
    consumer = kafka.consumer(KafkaSettings(bootstrap=bootstrap), "bench-raw")
    consumer.subscribe(["weir.metrics"])
    seen = size = 0
    begun = 0.0
    while seen < count:
        messages = consumer.consume(5_000, 0.05)
        if messages and not seen:
            begun = cpu_seconds()
        for message in messages:
            if message.error() is None:
                size += len(message.value() or b"")
                seen += 1
    print(cpu_seconds() - begun)
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
