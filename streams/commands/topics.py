"""`weir topics`: the topic table, and what of it exists."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, quiet_settings

if TYPE_CHECKING:
    from streams.topics.table import Difference
    from workers.settings import KafkaSettings

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("topic", "events", "key", "partitions", "cleanup", "exists")
DIFFERENCES = ("topic", "what", "wanted", "found", "mend")


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the topics with their events and keys, and those of workers."""
    from schemas import topics
    from streams.commands.output import show_rows
    from workers.kafka.clients import partition_counts

    counts = partition_counts(quiet_settings().kafka)
    tasks = [name for name in sorted(counts) if name.startswith(topics.TASKS_PREFIX)]
    known = [*topics.TOPICS.values(), *(topics.topic_named(name) for name in tasks)]
    show_rows(COLUMNS, (_row(topic, counts.get(topic.name)) for topic in known), as_json=as_json)


@app.command()
def create() -> None:
    """Create the topics that do not exist; those that do are left as they are."""
    from schemas.topics import TOPICS
    from workers.kafka.clients import create_topics

    made = create_topics(quiet_settings().kafka, TOPICS.values())
    typer.echo(f"created {', '.join(sorted(made))}" if made else "every topic exists")


@app.command()
def diff(*, as_json: AsJson = False) -> None:
    """Show what the cluster has otherwise than the topic table, and what mends it.

    Ends with code 1 when there is a difference. What the broker does not tell is named, not
    reported as different.
    """
    from streams.commands.output import show_rows
    from streams.topics import table as topic_table
    from streams.topics.state import state

    kafka = quiet_settings().kafka
    found = state(kafka)
    differences = topic_table.differences(found, kafka.replication)
    if as_json:
        _print_json(differences, topic_table.untold(found, kafka.replication))
    else:
        if differences:
            show_rows(DIFFERENCES, (_difference(each) for each in differences), as_json=False)
        _tell_untold(topic_table.untold(found, kafka.replication))
        typer.echo(f"{len(differences)} differences" if differences else "no differences")
    if differences:
        raise typer.Exit(1)


@app.command()
def apply(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create topics that are missing, and set configuration that differs from the table.

    Partitions are neither added nor taken away, and copies are not moved: what is left to do is
    told, and ends with code 1.
    """
    from streams.commands.output import show_outcome
    from streams.topics import table as topic_table
    from streams.topics.state import state

    kafka = quiet_settings().kafka
    found = topic_table.differences(state(kafka), kafka.replication)
    by_hand = [each for each in found if each.mend not in topic_table.APPLIED]
    if not dry_run:
        _mend(kafka, found)
    done = [_told(each) for each in found if each.mend in topic_table.APPLIED]
    left = [f"{_told(each)}: {topic_table.advice(each)}" for each in by_hand]
    verb = "would be" if dry_run else "were"
    told = [f"{len(done)} differences {verb} mended", *(f"  {each}" for each in done)]
    told += [f"{len(left)} are left to you", *(f"  {each}" for each in left)] if left else []
    outcome = {"mended": done, "left": left, "dry_run": dry_run}
    show_outcome(outcome, "\n".join(told), as_json=as_json)
    if left:
        raise typer.Exit(1)


@app.command()
def grow(
    topics: Annotated[list[str], typer.Argument(help="Topics; those joined with them grow too.")],
    *,
    partitions: Annotated[int, typer.Option(min=1, help="How many they are to have.")],
    timeout: Annotated[float, typer.Option(min=1, help="Longest wait for a step, s.")] = 900.0,
    accept_loss: Annotated[
        bool,
        typer.Option("--accept-loss", help="Joins and spans across the growth may miss parts."),
    ] = False,
    without_sink: Annotated[
        bool, typer.Option("--without-sink", help="Whatever ClickHouse has.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give topics in use more partitions: drain, stop, grow, share saved states out by key.

    First stop what sends to them and leave the processors running; when told so, stop these too;
    afterwards start everything again. It says what it waits for, and can be called again.
    """
    from streams.commands.output import show_rows
    from streams.topics import growing
    from workers.kafka.clients import partition_counts
    from workers.registry import Registry

    settings = quiet_settings()
    counts = partition_counts(settings.kafka, needed=topics)
    growth = growing.planned(topics, partitions, counts)
    typer.echo(f"{', '.join(growth.before)}: {partitions} partitions each", err=True)
    terms = growing.Terms(timeout, accept_loss, without_sink)
    registry = Registry(settings.registry)
    try:
        mended = growing.grow(settings, registry.codec(), growth, terms, _say)
    finally:
        registry.close()
    rows = [(one.key, one.told, one.before, one.after) for one in mended]
    show_rows(("state", "outcome", "bytes before", "bytes after"), rows, as_json=as_json)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _mend(kafka: "KafkaSettings", found: "list[Difference]") -> None:
    from schemas.topics import topic_named
    from streams.topics import table as topic_table
    from workers.kafka.clients import create_topics
    from workers.kafka.cluster import alter_topics

    missing = [each.topic for each in found if each.mend is topic_table.Mend.CREATE]
    create_topics(kafka, [topic_named(name) for name in missing])
    alter_topics(kafka, topic_table.changes(found))


def _print_json(differences: "list[Difference]", untold: dict[str, list[str]]) -> None:
    import json

    rows = [dict(zip(DIFFERENCES, _difference(each), strict=True)) for each in differences]
    typer.echo(json.dumps({"differences": rows, "untold": untold}, indent=2))


def _tell_untold(untold: dict[str, list[str]]) -> None:
    keys = sorted({key for silent in untold.values() for key in silent})
    if keys:
        typer.echo(
            f"the broker does not tell {', '.join(keys)} of {len(untold)} topics: not compared",
            err=True,
        )


def _difference(each: "Difference") -> tuple[str, ...]:
    from streams.topics import table as topic_table

    return (each.topic, each.what, each.wanted, each.found, topic_table.advice(each))


def _told(each: "Difference") -> str:
    return f"{each.topic}: {each.what} is {each.found}, should be {each.wanted}"


def _row(topic: Any, partitions: int | None) -> tuple[Any, ...]:
    return (
        topic.name,
        [event.__name__ for event in topic.events],
        "/".join(topic.key),
        topic.partitions if partitions is None else partitions,
        "compact" if topic.compacted else f"delete after {topic.retention_ms // 3_600_000} h",
        "yes" if partitions is not None else "no",
    )
