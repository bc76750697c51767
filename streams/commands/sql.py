"""`weir sql`: ask ClickHouse, and see what there is to ask about."""

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from workers.clickhouse import Database

READING = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "VALUES"})
_HINTS = {
    81: "; the sink makes it (`weir run sink`)",
    164: "; with --write a statement may change something",
}
"""What to do about a refusal, by ClickHouse's codes: no such database, read-only."""
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*$", re.IGNORECASE)
_NUMBER = re.compile(r"(Nullable\()?(U?Int|Float|Decimal)")
WRAPPED = 40
_COMMENT = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
_KEPT = """
SELECT name, if(engine = 'View', 'view', 'table'), engine LIKE '%Replacing%', comment
FROM system.tables
WHERE database = {base:String} AND name != 'migrations'
ORDER BY engine = 'View' DESC, name
"""


def sql(
    query: Annotated[
        str | None, typer.Argument(help="A statement; without one, tables and views are listed.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Rows as a JSON array.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Let the statement change data, tables or views.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option("--format", help="Any of ClickHouse's output formats, such as CSVWithNames."),
    ] = None,
) -> None:
    """Ask ClickHouse: a table on a terminal, tab-separated with names when piped.

    Names without a database are Weir's tables and views. Nothing is changed without --write.
    Example:
    weir sql "select service, p95 from latency_by_service"
    """
    from streams.running import settings_of_running
    from workers.clickhouse import connect
    from workers.errors import ClickHouseRefused

    try:
        database = connect(settings_of_running().clickhouse)
        try:
            if not write:
                database.only_read()
            if query is None:
                _show(_overview(database), as_json=as_json)
            else:
                _answer(database, query, as_json=as_json, output=output)
        finally:
            database.close()
    except ClickHouseRefused as error:
        hint = _HINTS.get(error.code or 0, "")
        typer.echo(f"weir: {error}{hint}", err=True)
        raise typer.Exit(2) from error


def _answer(database: "Database", query: str, *, as_json: bool, output: str | None) -> None:
    statement = _COMMENT.sub("", query).rstrip().rstrip(";").rstrip()
    named = _FORMAT.search(statement)
    if named is not None:
        statement, output = statement[: named.start()], output or named[1]
    first = re.match(r"\W*(\w+)", statement)
    if first is None:
        raise typer.BadParameter("the statement is empty")
    if first[1].upper() not in READING:
        database.execute(statement)
    elif output is not None:
        sys.stdout.buffer.write(database.text(statement, output))
    elif as_json or sys.stdout.isatty():
        _show(json.loads(database.text(statement, "JSONCompact")), as_json=as_json)
    else:
        sys.stdout.buffer.write(database.text(statement, "TSVWithNames"))


def _overview(database: "Database") -> dict[str, Any]:
    """Return tables with their row counts, and views, in the shape of the format JSONCompact.

    Every row of a table is counted once, whatever ClickHouse has yet to merge. Views are not
    counted: to count one is to run it.
    """
    from workers.errors import ClickHouseRefused

    kept = database.query(_KEPT, {"base": database.name}).rows
    if not kept:
        raise ClickHouseRefused(
            f"database {database.name!r} is empty: the sink makes its tables (`weir run sink`)"
        )
    counts = (
        f"SELECT '{name}', count() FROM `{name}`{' FINAL' if merges else ''}"  # noqa: S608 - names that the catalogue gave
        for name, kind, merges, _ in kept
        if kind == "table"
    )
    rows = dict(database.query(" UNION ALL ".join(counts)).rows)
    names = (
        ("name", "String"),
        ("kind", "String"),
        ("rows", "Nullable(UInt64)"),
        ("comment", "String"),
    )
    return {
        "meta": [{"name": name, "type": kind} for name, kind in names],
        "data": [[name, kind, rows.get(name), comment] for name, kind, _, comment in kept],
    }


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    names = [column["name"] for column in found["meta"]]
    if as_json:
        rows = [dict(zip(names, row, strict=True)) for row in found["data"]]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not sys.stdout.isatty():
        for row in (names, *found["data"]):
            typer.echo("\t".join("-" if value is None else str(value) for value in row))
        return
    _draw(found["meta"], [[_cell(value) for value in row] for row in found["data"]])


def _draw(columns: list[dict[str, str]], rows: list[list[str]]) -> None:
    """Print a table, or, when that is too wide for the terminal, each row from top to bottom."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    cells = [[column["name"] for column in columns], *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    if sum(min(width, WRAPPED) + 2 for width in widths) > console.width:
        table = Table(box=None, show_header=False, pad_edge=False)
        for row in rows:
            for column, cell in zip(columns, row, strict=True):
                table.add_row(f"[bold]{column['name']}[/bold]", cell)
            table.add_section()
            table.add_row()
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            numeric = _NUMBER.match(column["type"])
            table.add_column(column["name"], justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*row)
    console.print(table)
    if not rows:
        typer.echo("no rows", err=True)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text)
