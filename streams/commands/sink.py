"""`weir sink`: what the sink keeps in ClickHouse, and how to fill what it lacks."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.nouns import AsJson, quiet_settings

if TYPE_CHECKING:
    from workers.sinking.backfill import Bound, Outcome

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("topic", "read", "inserted", "refused", "left to the sink")
MISSING = {60: "table", 81: "database"}
"""ClickHouse's codes for what the sink has yet to make."""
_WHERE = "An offset, an ISO time, or an age: 90s, 30min, 2h, 7d."


@app.callback()
def sink() -> None:
    """Run the sink with `weir run sink`; here is what mends its tables."""


@app.command()
def backfill(
    *,
    topic: Annotated[
        list[str] | None, typer.Option(help="Only this topic; may be repeated. All by default.")
    ] = None,
    first: Annotated[str, typer.Option("--from", help=f"Begin here. {_WHERE}")] = "",
    last: Annotated[str, typer.Option("--to", help=f"End before this. {_WHERE}")] = "",
    as_json: AsJson = False,
) -> None:
    """Read topics again, as far as Kafka keeps them, and insert what ClickHouse lacks.

    What it holds is not inserted again, so it can be given twice, and while the sink runs. A
    partition that the sink has yet to store up to --from is left to the sink.
    """
    from streams.commands.output import show_rows
    from workers.clock import wall_ms
    from workers.errors import ClickHouseRefused
    from workers.sinking.backfill import backfill as fill

    now_ms = wall_ms()
    bounds = _bound(first, now_ms), _bound(last, now_ms)
    try:
        with _progress() as told:
            found = fill(quiet_settings(), tuple(topic or ()), *bounds, told)
    except ClickHouseRefused as error:
        what = MISSING.get(error.code or 0)
        hint = f"; the sink makes this {what} (`weir run sink`)" if what else ""
        typer.echo(f"weir: {error}{hint}", err=True)
        raise typer.Exit(2) from error
    show_rows(COLUMNS, _rows(found), as_json=as_json)


def _bound(text: str, now_ms: int) -> "Bound":
    from streams.instants import instant_ms
    from workers.sinking.backfill import Bound

    if not text:
        return Bound()
    if text.isdecimal():
        return Bound(offset=int(text))
    return Bound(time_ms=instant_ms(text, now_ms))


def _rows(found: "Mapping[str, Outcome]") -> Iterator[tuple[str, int, int, int, str]]:
    for topic, outcome in found.items():
        left = ", ".join(f"partition {number}" for number in outcome.skipped)
        yield topic, outcome.read, outcome.inserted, outcome.unusable, left


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many messages were read."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} messages read"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("read", total=None)
        yield lambda count: bar.advance(task, count)
