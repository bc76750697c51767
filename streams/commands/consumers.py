"""`weir consumers`: who may ask applications for inference."""

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    add_looking,
    add_removing,
    given,
    opened,
    send_changed,
    table_of,
)

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("consumer", "apps", "modalities", "priority", "requests/s", "share")


@app.command()
def register(
    consumer: Annotated[str | None, typer.Argument(help="Its name.")] = None,
    *,
    apps: Annotated[list[str] | None, typer.Option("--app", help="May ask it; repeat.")] = None,
    modality: Annotated[list[str] | None, typer.Option(help="Kind of input; repeat.")] = None,
    priority: Annotated[int | None, typer.Option(help="Larger is more important.")] = None,
    rate: Annotated[float | None, typer.Option(help="Most requests per second.")] = None,
    share: Annotated[float | None, typer.Option(help="Share of the capacity.")] = None,
    file: Annotated[Path | None, typer.Option(help="The same as TOML; options win.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register a consumer; registering the same again changes nothing."""
    from streams import registration
    from streams.commands.output import show_outcome
    from workers.clock import wall_ms

    options = given(
        consumer=consumer,
        apps=apps,
        modalities=modality,
        priority=priority,
        rate_per_s=rate,
        share=share,
    )
    event = registration.consumer(table_of(file) | options, wall_ms())
    with opened() as entries:
        changed = bool(send_changed(entries, [event]))
    outcome = {"consumer": event.consumer, "event_id": event.event_id, "changed": changed}
    told = "registered" if changed else "already registered"
    show_outcome(outcome, f"{told}: consumer {event.consumer}", as_json=as_json)


def _row(entry: Any, _: int) -> tuple[Any, ...]:
    return (
        entry.consumer,
        entry.apps,
        entry.modalities,
        entry.priority,
        entry.rate_per_s,
        entry.share,
    )


add_looking(app, "ConsumerRegistered", "consumer", COLUMNS, _row)
add_removing(app, "ConsumerRegistered", "consumer")
