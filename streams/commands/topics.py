"""`weir topics`: the topic table, and what of it exists."""

from typing import Any

import typer

from streams.commands.nouns import AsJson, quiet_settings

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("topic", "events", "key", "partitions", "cleanup", "exists")


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the topics with their events and keys, and those of workers."""
    from schemas import topics
    from streams.commands.output import show_rows
    from workers.kafka import partition_counts

    counts = partition_counts(quiet_settings().kafka)
    tasks = [name for name in sorted(counts) if name.startswith(topics.TASKS_PREFIX)]
    known = [*topics.TOPICS.values(), *(topics.topic_named(name) for name in tasks)]
    show_rows(COLUMNS, (_row(topic, counts.get(topic.name)) for topic in known), as_json=as_json)


@app.command()
def create() -> None:
    """Create the topics that do not exist; those that do are left as they are."""
    from schemas.topics import TOPICS
    from workers.kafka import create_topics

    made = create_topics(quiet_settings().kafka, TOPICS.values())
    typer.echo(f"created {', '.join(sorted(made))}" if made else "every topic exists")


def _row(topic: Any, partitions: int | None) -> tuple[Any, ...]:
    return (
        topic.name,
        [event.__name__ for event in topic.events],
        "/".join(topic.key),
        topic.partitions if partitions is None else partitions,
        "compact" if topic.compacted else f"delete after {topic.retention_ms // 3_600_000} h",
        "yes" if partitions is not None else "no",
    )
