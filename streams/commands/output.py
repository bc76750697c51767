"""How commands show what they found: tables on a terminal, JSON for programs."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, as_json: bool) -> None:
    """Print rows as a table, or as a JSON array of objects."""
    found = [list(row) for row in rows]
    if as_json:
        typer.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in found], indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*(escape(_cell(value)) for value in row))
    Console().print(table)
    if not found:
        typer.echo("none", err=True)


def show_event(event: Any) -> None:
    """Print an event with all its fields as JSON; bytes in base64."""
    from schemas.introspect import to_plain

    plain = to_plain(type(event))(event)
    typer.echo(json.dumps(plain, indent=2, default=_text, ensure_ascii=False))


def show_outcome(outcome: Mapping[str, Any], told: str, *, as_json: bool) -> None:
    """Print what a command did: a sentence, or JSON."""
    typer.echo(json.dumps(outcome, indent=2) if as_json else told)


def since(instant_ms: int, now_ms: int) -> str:
    """Return how long ago an instant was, in its largest unit."""
    seconds = max(0, now_ms - instant_ms) / 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "-"
    return str(value)


def _text(value: Any) -> str:
    return base64.b64encode(value).decode()
