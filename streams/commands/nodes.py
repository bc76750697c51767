"""`weir nodes`: what the nodes have and how they are; nodes by hand, and nodes to drain."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, add_looking, add_removing, opened

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from schemas.registrations import NodeReported
    from streams.entries import Entries
    from streams.forms.files import Entry

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = (
    *("node", "status", "zone", "cpu m", "used", "memory MiB", "gpus", "speed"),
    *("source", "heard of"),
)
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="TOML, JSON or YAML with one or many, or a testbed's."),
]
Name = Annotated[str, typer.Argument(help="Name of the node.")]
Reason = Annotated[str, typer.Option(help="Why; it is told.")]


@app.command()
def register(
    file: File = None,
    *,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of such files, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Register nodes by hand; they count until they report themselves.

    The first heartbeat of a node's own agent replaces what is registered here, so a node that has
    heartbeats is refused. Of many, none is registered when one is wrong. `weir nodes template`
    shows every field.
    """
    import json

    from streams.forms import files as form_files
    from streams.forms import nodes as node_forms
    from streams.forms import schema as form_schema
    from workers.clock import wall_ms

    form = form_schema.NODE
    if schema:
        typer.echo(json.dumps(form_schema.schema(form), indent=2))
        return
    if file is None:
        raise typer.BadParameter("name a file with --file, or ask for the --schema")
    now_ms = wall_ms()
    found = form_files.entries(file, form)
    made = form_files.built(found, form, lambda plain: node_forms.node(plain, now_ms))
    with opened() as entries:
        changed = _send(entries, made, found, now_ms)
    _show_registered(made, changed, found, as_json=as_json)


def _send(
    entries: "Entries", made: "list[NodeReported]", found: "list[Entry]", now_ms: int
) -> list[str]:
    """Send the nodes that differ from what stands. Raises DocumentRefused."""
    from dataclasses import replace

    from schemas.registrations import NodeReported
    from streams.forms.nodes import reports_itself
    from workers.handover.errors import DocumentRefused

    known = entries.of(NodeReported)
    for node, entry in zip(made, found, strict=True):
        standing = known.get(node.node)
        if reports_itself(standing, now_ms):
            source = (standing.source if standing is not None else "") or "its agent"
            raise DocumentRefused(
                f"{entry.where}: node {node.node} reports itself ({source}); what is registered "
                "by hand would be replaced by its next heartbeat: leave it out"
            )
    changed = [
        node
        for node in made
        if node.node not in known
        or replace(node, heartbeat=0) != replace(known[node.node], heartbeat=0)
    ]
    entries.send(changed)
    return [node.node for node in changed]


def _show_registered(
    made: "list[NodeReported]", changed: list[str], found: "list[Entry]", *, as_json: bool
) -> None:
    from streams.commands.output import show_outcome

    left = {entry.where: list(entry.left_out) for entry in found if entry.left_out}
    for where, names in left.items():
        typer.echo(f"weir: warning: {where}: not understood: {', '.join(names)}", err=True)
    told = "\n".join(
        f"{'registered' if node.node in changed else 'already registered'}: node {node.node}"
        for node in made
    )
    outcome = {"nodes": [node.node for node in made], "changed": changed, "left_out": left}
    show_outcome(outcome, told, as_json=as_json)


@app.command()
def template() -> None:
    """Print a form in TOML with every field of a node, to fill in."""
    from streams.forms import schema as form_schema

    typer.echo(form_schema.template(form_schema.NODE), nl=False)


@app.command()
def drain(name: Name, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let a node take nothing new, and move away what it runs, until `undrain`.

    It holds whatever the node's heartbeats say, and over restarts.
    """
    _switch(name, True, reason, as_json=as_json)


@app.command()
def undrain(name: Name, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """End the draining of a node."""
    _switch(name, False, reason, as_json=as_json)


def _switch(name: str, on: bool, reason: str, *, as_json: bool) -> None:
    from schemas.authority import DRAIN
    from schemas.registrations import NodeReported
    from streams.commands.switching import switched
    from streams.registration import unknown

    with opened() as entries:
        nodes = entries.of(NodeReported)
        if name not in nodes and on:
            raise unknown("node", name, nodes)
        kind = "node.drain" if on else "node.undrain"
        told = f"node {name} drains" if on else f"node {name} takes services again"
        switched(entries, f"{DRAIN}{name}", kind, name, told, reason, on=on, as_json=as_json)


def _row(node: Any, now_ms: int, catalogue: "Catalogue") -> tuple[Any, ...]:
    from schemas.authority import DRAIN, standing
    from streams.commands.output import since

    drains = standing(catalogue, f"{DRAIN}{node.node}") is not None
    status = "draining" if drains and node.status == "ready" else node.status
    return (
        node.node,
        status if node.expires_at > now_ms else f"{status}, expired",
        node.zone,
        node.cpu_milli,
        node.cpu_used_milli,
        node.memory_mib,
        len(node.gpus),
        node.speed,
        node.source,
        since(node.heartbeat, now_ms),
    )


add_looking(app, "NodeReported", "node", COLUMNS, _row, "PolicySelected")
add_removing(app, "NodeReported", "node")
