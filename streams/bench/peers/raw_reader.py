"""Raw: a confluent-kafka consumer that reads each value and drops it.

The floor of any Python data plane on Kafka. Batches of 5,000, as Weir's host takes.
"""

from confluent_kafka import Consumer
from stopwatch import FETCHING, Stopwatch, task

BATCH = 5_000


def main() -> None:
    """Read the events and tell how long it took."""
    asked = task()
    watch = Stopwatch()
    consumer = Consumer(
        {
            "bootstrap.servers": asked.bootstrap,
            "group.id": asked.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **FETCHING,
        }
    )
    consumer.subscribe([asked.topic])
    seen = size = 0
    while seen < asked.events:
        messages = consumer.consume(BATCH, 0.05)
        if messages:
            watch.begin()
        for message in messages:
            if message.error() is None:
                size += len(message.value() or b"")
                seen += 1
    watch.end()
    consumer.close()
    watch.tell(seen, seen, "confluent-kafka", bytes=size)


if __name__ == "__main__":
    main()
