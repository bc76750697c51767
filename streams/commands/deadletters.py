"""`weir deadletters`: messages that were refused, and what people do about them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, quiet_settings

if TYPE_CHECKING:
    from schemas.codec import Codec
    from workers.letters import Case, Wanted
    from workers.retrying import Choice, Outcome
    from workers.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("id", "since", "stood at", "error", "field", "refused by", "state", "bytes")
ID_LENGTH = 12
Ids = Annotated[list[str] | None, typer.Argument(help="Ids, or the beginnings of ids.")]
OnTopic = Annotated[str, typer.Option(help="Of this topic alone.")]
OfKind = Annotated[str, typer.Option(help="Of this kind of error alone, such as malformed.")]
Since = Annotated[str, typer.Option(help="Refused since: 90s, 30min, 2h, 7d ago, or an ISO time.")]


@app.command("list")
def list_(
    *,
    topic: OnTopic = "",
    kind: OfKind = "",
    since: Since = "",
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest first.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Discarded ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List refused messages, the newest first, from Kafka itself; discarded ones are left out."""
    from streams.commands.output import show_rows
    from workers.clock import wall_ms
    from workers.retrying import read_cases

    states = ("open", "retried", "discarded") if everything else ("open", "retried")
    wanted = _wanted(topic, kind, since, states)
    with _opened() as (settings, codec):
        cases = [case for case in read_cases(settings.kafka, codec) if wanted.takes(case)]
    now_ms = wall_ms()
    show_rows(COLUMNS, (_row(case, now_ms, as_json) for case in cases[:limit]), as_json=as_json)
    if len(cases) > limit:
        typer.echo(f"{len(cases) - limit} more; --limit {len(cases)} shows them", err=True)


@app.command()
def show(start: Annotated[str, typer.Argument(metavar="ID")], *, as_json: AsJson = False) -> None:
    """Show all that is known of one: where it stood, its bytes, what can be read, what to do."""
    import json

    from streams.letter_words import described
    from workers.letters import find
    from workers.retrying import read_cases

    with _opened() as (settings, codec):
        told = described(find(read_cases(settings.kafka, codec), start), codec)
    if as_json:
        typer.echo(json.dumps(told, indent=2, default=_as_text, ensure_ascii=False))
    else:
        _draw(told)


@app.command()
def retry(
    ids: Ids = None,
    *,
    topic: OnTopic = "",
    kind: OfKind = "",
    since: Since = "",
    again: Annotated[
        bool, typer.Option("--again", help="Also what was retried or discarded already.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what would be refused again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send the original messages again, byte for byte, to those that had refused them.

    Name them by id, or by --topic, --kind, --since. Each retry is recorded as an event: a second
    one of the same says so and needs --again. Exit code 4 when one could not be sent.
    """
    from workers import retrying
    from workers.clock import wall_ms

    terms = retrying.Terms(again=again, force=force)
    states = ("open", "retried", "discarded") if again else ("open",)
    choose = _choice(ids or [], _wanted(topic, kind, since, states))
    with _opened() as (settings, codec):
        if dry_run:
            outcomes = retrying.rehearse(settings.kafka, codec, choose, terms, wall_ms())
        else:
            _wait_for_readers(settings, codec, choose)
            outcomes = retrying.retry(settings.kafka, codec, choose, terms, wall_ms())
    _tell(outcomes, as_json=as_json, failing=not dry_run)


@app.command()
def discard(
    ids: Ids = None,
    *,
    reason: Annotated[str, typer.Option(help="Why nothing is to be done; kept with it.")],
    topic: OnTopic = "",
    kind: OfKind = "",
    since: Since = "",
    as_json: AsJson = False,
) -> None:
    """Record that nothing is to be done about messages; they are kept, and no longer listed."""
    from workers import retrying
    from workers.clock import wall_ms

    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    choose = _choice(ids or [], _wanted(topic, kind, since, ("open", "retried")))
    with _opened() as (settings, codec):
        outcomes = retrying.discard(settings.kafka, codec, choose, reason.strip(), wall_ms())
    _tell(outcomes, as_json=as_json, failing=False)


@contextmanager
def _opened() -> "Iterator[tuple[Settings, Codec]]":
    from workers.registry import Registry

    settings = quiet_settings()
    registry = Registry(settings.registry)
    try:
        yield settings, registry.codec()
    finally:
        registry.close()


def _wanted(topic: str, kind: str, since: str, states: Sequence[str]) -> "Wanted":
    from streams.instants import instant_ms
    from workers.clock import wall_ms
    from workers.letters import Wanted

    since_ms = instant_ms(since, wall_ms()) if since else 0
    return Wanted(topic=topic, kind=kind, since_ms=since_ms, states=states)


def _choice(ids: Sequence[str], wanted: "Wanted") -> "Choice":
    """Return how cases are chosen: by id, or by filter; never all by accident."""
    from workers.letters import find

    if ids:
        return lambda cases: list(
            {case.id: case for case in (find(cases, i) for i in ids)}.values()
        )
    if not (wanted.topic or wanted.kind or wanted.since_ms):
        raise typer.BadParameter("give ids, or --topic, --kind or --since", param_hint="IDS")
    return lambda cases: [case for case in cases if wanted.takes(case)]


def _wait_for_readers(settings: "Settings", codec: "Codec", choose: "Choice") -> None:
    """Wait while readers may yet remember that a schema, registered since, is unknown."""
    import time

    from workers.clock import wall_ms
    from workers.retrying import pause_ms, read_cases

    wait_ms = pause_ms(choose(read_cases(settings.kafka, codec)), wall_ms())
    if wait_ms:
        typer.echo(f"waiting {wait_ms / 1000:.0f} s: readers remember unknown schemas", err=True)
        time.sleep(wait_ms / 1000)


def _row(case: "Case", now_ms: int, as_json: bool) -> tuple[Any, ...]:
    from streams.commands.output import since

    letter = case.letter
    state = f"{case.state}, refused again as {case.again[:ID_LENGTH]}" if case.again else case.state
    return (
        case.id if as_json else case.id[:ID_LENGTH],
        letter.detected_at if as_json else since(letter.detected_at, now_ms),
        f"{letter.topic}/{letter.partition}/{letter.offset}",
        letter.error,
        letter.field,
        list(case.refused_by),
        case.state if as_json else state,
        letter.length,
    )


def _draw(told: dict[str, Any]) -> None:
    import json

    from rich.console import Console
    from rich.markup import escape

    console = Console(soft_wrap=True, highlight=False)
    for name, value in told.items():
        if value in (None, "", []):
            continue
        text = value
        if isinstance(value, dict | list):
            text = json.dumps(value, indent=2, default=_as_text, ensure_ascii=False)
        console.print(f"[bold]{name:<12}[/bold] {escape(str(text))}")


def _as_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _tell(outcomes: "Sequence[Outcome]", *, as_json: bool, failing: bool) -> None:
    from streams.commands.output import show_rows

    rows = (
        (
            outcome.case.id if as_json else outcome.case.id[:ID_LENGTH],
            "/".join(str(part) for part in outcome.case.place),
            outcome.done,
            outcome.told,
            "/".join(str(part) for part in outcome.copy) if outcome.copy else None,
        )
        for outcome in outcomes
    )
    show_rows(("id", "stood at", "done", "outcome", "copy"), rows, as_json=as_json)
    if failing and not all(outcome.done for outcome in outcomes):
        raise typer.Exit(4)
