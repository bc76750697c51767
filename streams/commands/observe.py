"""`weir observe`: which windows and metrics an application has, and what they have shown."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, opened, quiet_settings

if TYPE_CHECKING:
    from schemas.registrations import MetricDefined, WindowDefined
    from streams.definitions import Standing
    from streams.entries import Entries

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("name", "what", "app", "where", "how", "state", "since")
File = Annotated[Path, typer.Option("--file", "-f", help="TOML, or JSON in a file *.json.")]
Name = Annotated[str, typer.Argument(help="Name of the definition.")]


@app.command()
def apply(file: File, *, as_json: AsJson = False) -> None:
    """Define the windows and metrics of an application; the same again changes nothing.

    All are checked before one is sent; a wrong expression is shown with the place. They hold from
    the next event on, without a restart. What the file does not name stays as it is.
    """
    from schemas.registrations import ApplicationRegistered
    from streams import definitions
    from streams.commands.nouns import send_changed
    from streams.commands.output import show_outcome
    from workers.clock import wall_ms

    wanted = definitions.read(_table(file), wall_ms())
    name = wanted[0].app
    with opened() as entries:
        definitions.check(wanted, _standing(entries), _plugins())
        known = entries.of(ApplicationRegistered)
        changed = send_changed(entries, wanted)
    warnings = []
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        warnings.append(f"application {name} is not registered ({listed})")
        typer.echo(f"weir: warning: {warnings[0]}", err=True)
    outcome = {
        "app": name,
        "defined": [definition.name for definition in wanted],
        "changed": changed,
        "warnings": warnings,
    }
    told = f"{len(wanted)} definitions of {name}, changed: {', '.join(changed) or 'none'}"
    show_outcome(outcome, told, as_json=as_json)


@app.command("list")
def list_(
    of: Annotated[str, typer.Option("--app", help="Of one application alone.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List windows and metrics: whether each is in force, what it applies to, and since when."""
    from streams.commands.output import show_rows
    from streams.definitions import refusals

    with opened() as entries:
        standing = _standing(entries)
    refused = refusals(standing, _plugins())
    rows = [
        row for row in _rows(standing, refused, as_json=as_json) if of in ("", row[2]) or not row[2]
    ]
    show_rows(COLUMNS, rows, as_json=as_json)


@app.command()
def stop(name: Name, *, as_json: AsJson = False) -> None:
    """Put a window out of force; `weir observe apply` with the same definition starts it again."""
    from streams.commands.nouns import send_changed
    from streams.commands.output import show_outcome
    from streams.definitions import stopped
    from workers.clock import wall_ms

    with opened() as entries:
        standing = _standing(entries)
        changed = send_changed(entries, [stopped(name, standing, wall_ms())])
    _warn_of_metrics_on(name, standing)
    told = f"stopped: window {name}" if changed else f"stopped already: window {name}"
    show_outcome({"name": name, "changed": bool(changed)}, told, as_json=as_json)


@app.command()
def remove(name: Name) -> None:
    """Remove a window or metric; what it has shown stays in SQL."""
    from streams.definitions import unknown

    with opened() as entries:
        standing = _standing(entries)
        definition = standing.get(name)
        if definition is None:
            raise unknown(name, standing)
        entries.remove(type(definition), name)
        entries.flush()
    _warn_of_metrics_on(name, standing)
    typer.echo(f"removed {name}")


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="File *.csv or *.parquet.")],
    of: Annotated[str, typer.Option("--app", help="Of which application.")],
    *,
    metric: Annotated[str, typer.Option(help="Of one metric alone.")] = "",
    service: Annotated[str, typer.Option(help="Of one service alone.")] = "",
    window: Annotated[str, typer.Option(help="Of one window definition alone.")] = "",
    since: Annotated[
        str, typer.Option(help="Ended at or after: 2h (ago), or 2026-01-31T12:00:00+00:00.")
    ] = "",
    until: Annotated[str, typer.Option(help="Ended before; written like --since.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write final observations from ClickHouse to a file, in the order in which windows ended."""
    from streams import exporting
    from streams.commands.output import show_outcome
    from workers.clickhouse import connect

    span = {"since_ms": _instant(since, "--since"), "until_ms": _instant(until, "--until")}
    wanted = exporting.Wanted(
        of, metric, service, window, **{name: at for name, at in span.items() if at is not None}
    )
    database = connect(quiet_settings().clickhouse)
    try:
        database.only_read()
        rows = exporting.export(database, wanted, output)
    finally:
        database.close()
    outcome = {"file": str(output), "rows": rows}
    show_outcome(outcome, f"{rows:,} observations in {output}", as_json=as_json)


@app.command()
def serve(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Serve /metrics here.")] = 9464,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    of: Annotated[str, typer.Option("--app", help="Of one application alone.")] = "",
    most: Annotated[int, typer.Option(min=1, help="Series shown at most.")] = 10_000,
    stale: Annotated[str, typer.Option(help="Not shown when not renewed for so long.")] = "5m",
) -> None:
    """Show the latest final observation of each series to Prometheus, until Ctrl-C or SIGTERM.

    It reads weir.observations from now on, without a group, and keeps nothing on disk.
    """
    import signal
    import threading

    from streams import exposition, exposition_reading
    from streams.definitions import duration_ms
    from workers.clock import wall_ms
    from workers.registry import Registry

    stale_ms = duration_ms(stale)
    if stale_ms is None:
        raise typer.BadParameter(f"--stale is {stale!r}; write a time such as 30s or 5m")
    settings, stop = quiet_settings(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    latest = exposition.Latest(wall_ms, most=most, stale_ms=stale_ms, app=of)
    registry = Registry(settings.registry)
    try:
        codec = registry.codec()
        with exposition.served(latest, port, host):
            typer.echo(f"observations at http://{host}:{port}/metrics", err=True)
            exposition_reading.follow(settings.kafka, codec, latest.see, stop)
    finally:
        registry.close()


def _table(file: Path) -> dict[str, Any]:
    """Return what a TOML or JSON file says. Raises RegistrationError."""
    import json

    from streams.commands.nouns import table_of
    from streams.errors import RegistrationError

    if file.suffix != ".json":
        return table_of(file)
    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise RegistrationError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise RegistrationError(f"{file} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise RegistrationError(f"{file} must hold an object with app, windows and metrics")
    return found


def _standing(entries: "Entries") -> "Standing":
    from schemas.registrations import MetricDefined, WindowDefined
    from streams.definitions import KINDS, Standing, others

    catalogue = entries.catalogue(*KINDS)
    return Standing(catalogue.of(WindowDefined), catalogue.of(MetricDefined), others(catalogue))


def _plugins() -> set[str]:
    """Return the names of the plug-ins that are installed here."""
    from importlib.metadata import entry_points

    from processors.defining.plugins import GROUP

    return {entry.name for entry in entry_points(group=GROUP)}


def _rows(
    standing: "Standing", refused: Mapping[str, str], *, as_json: bool
) -> Iterator[tuple[Any, ...]]:
    from streams.commands.output import since
    from streams.definitions import cut, reach
    from workers.clock import wall_ms

    now_ms = wall_ms()

    def row(
        what: str, one: "WindowDefined | MetricDefined", how: str, state: str
    ) -> tuple[Any, ...]:
        at = one.registered_at if as_json else since(one.registered_at, now_ms)
        state = f"refused: {refused[one.name]}" if one.name in refused else state
        return (one.name, what, one.app, reach(one), how, state, at)

    for window in sorted(standing.windows.values(), key=lambda one: one.name):
        state = "stopped" if window.stopped else "in force"
        yield row(window.kind, window, cut(window), state)
    for metric in sorted(standing.metrics.values(), key=lambda one: one.name):
        yield row("metric", metric, metric.expression, _state(metric, standing))


def _state(metric: "MetricDefined", standing: "Standing") -> str:
    window = standing.windows.get(metric.window)
    if window is not None and window.stopped:
        return f"waits: window {metric.window} is stopped"
    return "in force" if metric.expression else "known"


def _warn_of_metrics_on(window: str, standing: "Standing") -> None:
    """Tell the metrics that have no values without a window."""
    names = sorted(name for name, one in standing.metrics.items() if one.window == window)
    if names:
        typer.echo(
            f"weir: warning: no values without window {window}: {', '.join(names)}", err=True
        )


def _instant(text: str, option: str) -> int | None:
    """Return ms since the epoch of `2h` (ago) or an ISO 8601 instant; None for nothing."""
    from datetime import datetime

    from streams.definitions import duration_ms
    from workers.clock import wall_ms

    if not text:
        return None
    ago = duration_ms(text)
    if ago is not None:
        return wall_ms() - ago
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{option} is {text!r}; write 2h, or an instant such as 2026-01-31T12:00:00+00:00"
        ) from error
    if found.tzinfo is None:
        raise typer.BadParameter(f"{option} is {text!r}; say its offset, such as +00:00")
    return round(found.timestamp() * 1000)
