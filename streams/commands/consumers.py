"""`weir consumers`: who may ask applications for inference."""

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    add_looking,
    add_removing,
    check_owner,
    given,
    opened,
    send_changed,
    table_of,
)

app = typer.Typer(add_completion=False, no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the consumer.")]
COLUMNS = ("consumer", "apps", "modalities", "priority", "requests/s", "share")


@app.command()
def register(
    consumer: Annotated[str | None, typer.Argument(help="Its name.")] = None,
    *,
    apps: Annotated[list[str] | None, typer.Option("--app", help="May ask it; repeat.")] = None,
    modality: Annotated[list[str] | None, typer.Option(help="Kind of input; repeat.")] = None,
    priority: Annotated[int | None, typer.Option(help="Larger is more important.")] = None,
    rate: Annotated[float | None, typer.Option(help="Most requests per second.")] = None,
    burst: Annotated[int | None, typer.Option(help="Requests that may come at once.")] = None,
    share: Annotated[float | None, typer.Option(help="Share of the capacity.")] = None,
    explainable: Annotated[
        bool | None, typer.Option(help="Let an explainable member join its ensembles.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who may change it.")] = None,
    file: Annotated[Path | None, typer.Option(help="The same as TOML; options win.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register a consumer; registering the same again changes nothing, and its token stays."""
    from schemas.registrations import ConsumerRegistered
    from streams.commands.output import show_outcome
    from streams.forms.consumers import registered
    from workers.clock import wall_ms

    options = given(
        consumer=consumer,
        apps=apps,
        modalities=modality,
        priority=priority,
        rate_per_s=rate,
        burst=burst,
        share=share,
        explainable=explainable,
        owner=owner,
    )
    plain = table_of(file) | options
    with opened() as entries:
        known = entries.of(ConsumerRegistered)
        event = registered(plain, known, wall_ms())
        if event.consumer in known:
            _check(entries, known[event.consumer], event.owner)
        changed = bool(send_changed(entries, [event]))
    outcome = {"consumer": event.consumer, "event_id": event.event_id, "changed": changed}
    told = "registered" if changed else "already registered"
    show_outcome(outcome, f"{told}: consumer {event.consumer}", as_json=as_json)


@app.command()
def show(name: Name) -> None:
    """Show what a consumer may, and whether it has a token."""
    from schemas.registrations import ConsumerRegistered
    from streams.commands.output import since
    from streams.registration import unknown
    from workers.clock import wall_ms

    with opened() as entries:
        found = entries.of(ConsumerRegistered)
    if name not in found:
        raise unknown("consumer", name, found)
    known = found[name]
    rate = "any rate" if known.rate_per_s is None else f"{known.rate_per_s:g} requests a second"
    for label, value in (
        ("applications", ", ".join(known.apps) or "all"),
        ("modalities", ", ".join(known.modalities) or "all"),
        ("priority", f"at most {known.priority}"),
        ("rate", f"{rate}, {known.burst} at once" if known.burst else rate),
        ("share", f"{known.share:g}"),
        ("explainable", "a member that explains joins" if known.explainable else "no"),
        ("owner", known.owner or "nobody"),
        ("token", "yes" if known.token_sha256 else "none: `weir consumers token` gives one"),
        ("registered", f"{since(known.registered_at, wall_ms())} ago"),
    ):
        typer.echo(f"{label:<13} {value}")


@app.command()
def token(
    name: Name,
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take it away instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a consumer a new token for the gateway; it is printed once, and the old one ends.

    Kept is its SHA-256 alone.
    """
    from schemas.registrations import ConsumerRegistered
    from streams.commands.output import show_outcome
    from streams.forms.consumers import with_token, without_token
    from streams.registration import unknown
    from workers.clock import wall_ms

    with opened() as entries:
        found = entries.of(ConsumerRegistered)
        if name not in found:
            raise unknown("consumer", name, found)
        _check(entries, found[name])
        if revoke:
            event, secret = without_token(found[name], wall_ms()), ""
        else:
            event, secret = with_token(found[name], wall_ms())
        entries.send([event])
    outcome = {"consumer": name, "event_id": event.event_id, "token": secret}
    show_outcome(outcome, secret or f"{name} has no token any more", as_json=as_json)


def _check(entries: Any, known: Any, declared: str = "") -> None:
    check_owner(entries, "consumer", known.consumer, known.owner, declared)


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
add_removing(app, "ConsumerRegistered", "consumer", _check)
