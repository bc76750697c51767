"""`weir status`: what runs on this machine; `weir status worker`: what workers have done."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from schemas.working import WorkerReported
    from streams.running import State
    from workers.handover.summaries import Declared

app = typer.Typer(add_completion=False)
SUMMARY = "inferedge-orchestration-summary-v1"


@app.callback(invoke_without_command=True)
def status(
    ctx: typer.Context,
    *,
    data_dir: Annotated[Path | None, typer.Option(help="That of `weir up`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show processes, endpoints, memory and readiness of the stack on this machine.

    Exit code 3 when none runs, or when a part of it is not ready.
    """
    if ctx.invoked_subcommand is not None:
        return
    from streams.running import find
    from streams.settings import load

    where = data_dir or load().data_dir
    state = find(where)
    if state is None:
        typer.echo(f"weir: nothing runs out of {where}; `weir up` starts it", err=True)
        raise typer.Exit(3)
    if as_json:
        typer.echo(json.dumps(asdict(state), indent=2))
    else:
        _show(state)
    if not state.ready:
        raise typer.Exit(3)


@app.command()
def worker(
    name: Annotated[
        str, typer.Argument(help="A node, or a worker; all when left out.", metavar="[NODE]")
    ] = "",
    *,
    form: Annotated[
        str, typer.Option("--format", help=f"{SUMMARY}: that document, of one worker.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what workers have done since they began, on whatever machine they are.

    Tasks that ended by kind of reason, deadlines met, times, the backlog, decisions: as they said
    last, at most five seconds ago; one that says nothing any more is silent. Exit code 3 when no
    worker has said anything, 4 for a node that has none.
    """
    from schemas.working import WorkerReported
    from streams import worker_status
    from streams.commands.nouns import opened
    from streams.registration import unknown
    from workers.clock import wall_ms

    if form not in ("", SUMMARY):
        raise typer.BadParameter(f"--format: {form!r} is unknown; there is {SUMMARY}")
    with opened() as entries:
        known = entries.of(WorkerReported)
        found = worker_status.chosen(known, name)
        if not known:
            typer.echo("weir: no worker has said anything; `weir worker` runs one", err=True)
            raise typer.Exit(3)
        if not found:
            raise unknown("node or worker", name, sorted({one.node for one in known.values()}))
        if form:
            typer.echo(json.dumps(_document(found[0], entries), indent=2, sort_keys=True))
            return
    now_ms = wall_ms()
    if as_json:
        told = [worker_status.plain(one, now_ms) for one in found]
        typer.echo(json.dumps(told, indent=2))
        return
    _show_workers(found, now_ms)


def _document(report: "WorkerReported", entries: Any) -> dict[str, Any]:
    """Return a worker's report as an orchestration summary; it is checked before it is shown."""
    from schemas.registrations import ServiceRegistered
    from streams import worker_status
    from workers.handover.summaries import Operation, orchestration
    from workers.handover.summary_lists import check

    services = entries.of(ServiceRegistered)
    declared = {
        one.instance: _declared(services[one.service])
        for one in report.services
        if one.service in services
    }
    made = orchestration(worker_status.account(report), Operation(name=report.worker), declared)
    check(made, report.worker)
    return made


def _declared(service: Any) -> "Declared":
    from workers.handover.summaries import Declared
    from workers.inference.serving import serving_of

    own = serving_of(service)
    return Declared(
        priority=service.priority,
        budget_ms=own.budget_ms,
        queue_tasks=own.queue_tasks or Declared().queue_tasks,
        runtime="onnxruntime" if service.format == "onnx" else service.format,
    )


def _show_workers(found: "list[WorkerReported]", now_ms: int) -> None:
    from streams import worker_status
    from streams.commands.output import show_rows, since

    show_rows(worker_status.COLUMNS, worker_status.rows(found, now_ms), as_json=False)
    for report in found:
        typer.echo(
            f"{report.worker}: busy {report.busy_share:.1%} since {since(report.began_at, now_ms)}"
            f", of which {report.wasted_share:.1%} of the time for answers that came late or not"
            f" at all; heard of {since(report.heartbeat, now_ms)} ago"
        )
        for line in worker_status.taken(report):
            typer.echo(f"{report.worker}: {line}")
        for instance, one in worker_status.reasons(report):
            typer.echo(f"{instance}: {one.count} {one.what}, {one.reason}; such as: {one.example}")
        for one in report.decisions:
            typer.echo(f"{report.worker}: {one.what} {one.count} times: {one.reason}")


def _show(state: "State") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("process", "pid", "state", "restarts", "MiB", "log"):
        table.add_column(name, justify="right" if name in ("pid", "restarts", "MiB") else "left")
    for part in state.parts:
        how = "ready" if part.ready else "starting" if part.alive else "ended"
        colour = "green" if part.ready else "yellow" if part.alive else "red"
        memory = f"{part.memory_mib:.0f}"
        if part.name == "broker":
            memory += f" of {state.limit_mib}"
        table.add_row(
            part.name,
            str(part.pid),
            f"[{colour}]{how}[/]",
            str(part.restarts),
            memory,
            part.log,
        )
    console = Console()
    console.print(table)
    for part in state.parts:
        if part.refusal:
            console.print(f"{part.name} refuses to start: {part.refusal}", markup=False)
    console.print(f"kafka {state.bootstrap}  registry {state.registry}", highlight=False)
    console.print(f"clickhouse http://{state.clickhouse_host}:{state.clickhouse_port}")
