"""`weir models`: model files that are published, and those that are kept on this machine."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    add_looking,
    add_removing,
    opened,
    quiet_settings,
    send_changed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.artifacts.store import Entry

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("model", "version", "format", "inputs", "outputs", "digest", "uri")
CACHED = ("digest", "bytes", "used", "state")
SHORT = 12


@app.command()
def publish(
    model: Annotated[str, typer.Argument(help="Its name.")],
    artifact: Annotated[str, typer.Argument(help="The file, or its http, https or s3 URI.")],
    *,
    version: Annotated[str, typer.Option(help="Unique for this model.")],
    to: Annotated[str, typer.Option(help="Folder or s3://bucket/prefix to put it into.")] = "",
    digest: Annotated[str | None, typer.Option(help="SHA-256; needed of what is remote.")] = None,
    kind: Annotated[str, typer.Option("--format", help="Format of the file.")] = "onnx",
    provenance: Annotated[
        list[str] | None, typer.Option(help="key=value: data, code, trainer; repeat.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish a model: it is loaded here first, and its inputs, outputs and SHA-256 are told.

    A version that is published already cannot become another file. Example:
    weir models publish digits model.onnx --version 3 --to s3://models
    """
    from schemas.registrations import ModelPublished
    from streams.commands.output import show_outcome
    from streams.publishing import Publication
    from streams.publishing import publish as made
    from streams.registration import pairs
    from workers.clock import wall_ms
    from workers.runtimes.known import known_runtimes

    settings = quiet_settings()
    wanted = Publication(
        model=model,
        version=version,
        artifact=artifact,
        digest=digest,
        format=kind,
        store=to,
        provenance=pairs(provenance or [], "provenance"),
    )
    with opened() as entries:
        known = entries.of(ModelPublished).get(model)
        event = made(wanted, known, known_runtimes(), settings, wall_ms())
        changed = bool(send_changed(entries, [event]))
    outcome = {
        "model": event.model,
        "version": event.version,
        "uri": event.uri,
        "digest": event.digest,
        "changed": changed,
    }
    told = "published" if changed else "already published"
    said = f"{told}: {event.model} {event.version} {event.uri}#sha256={event.digest}"
    show_outcome(outcome, said, as_json=as_json)


@app.command()
def cached(*, as_json: AsJson = False) -> None:
    """List the fetched models that this machine keeps, the least recently used first."""
    from workers.artifacts.obtaining import store_of

    _show(store_of(quiet_settings()).entries(), as_json=as_json)


@app.command()
def prune(
    *,
    mib: Annotated[int, typer.Option(min=0, help="Most that may be left, MiB.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Remove fetched models that nobody has loaded, the least recently used first; list them."""
    from workers.artifacts.obtaining import MIB, store_of

    _show(store_of(quiet_settings()).prune(mib * MIB), as_json=as_json)


def _show(entries: "Iterable[Entry]", *, as_json: bool) -> None:
    from streams.commands.output import show_rows, since
    from workers.clock import wall_ms

    now_ms = wall_ms()
    rows = [
        (
            entry.digest if as_json else entry.digest[:SHORT],
            entry.size,
            int(entry.used_at * 1000) if as_json else since(int(entry.used_at * 1000), now_ms),
            ("in use" if entry.held else "kept") if entry.complete else "in parts",
        )
        for entry in entries
    ]
    show_rows(CACHED, rows, as_json=as_json)


def _row(entry: Any, _: int) -> tuple[Any, ...]:
    inputs, outputs = (
        [f"{port.name}:{port.dtype}{list(port.shape)}" for port in ports]
        for ports in (entry.inputs, entry.outputs)
    )
    digest = entry.digest
    return (entry.model, entry.version, entry.format, inputs, outputs, digest, entry.uri)


add_looking(app, "ModelPublished", "model", COLUMNS, _row)
add_removing(app, "ModelPublished", "model")
