"""`weir`: nouns, then verbs. Commands are imported when they are called, so that help is quick."""

import importlib
import os
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from streams.exits import explain
from streams.settings import CONFIG_VARIABLE


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is: a function, or a Typer application with verbs."""

    target: str
    help: str
    panel: str


RUN, REGISTER, LOOK, MEND = "Run", "Register and send", "Look", "Mend"
COMMANDS = {
    "up": Entry("up:up", "Start everything on this machine and keep it running.", RUN),
    "demo": Entry("demo:demo", "See the whole loop at work on real input.", RUN),
    "restart": Entry("restart:restart", "Renew processes while everything goes on.", RUN),
    "run": Entry("run:run", "Run processors by name in this process.", RUN),
    "worker": Entry("worker:app", "Run an inference worker; check a device for one.", RUN),
    "agent": Entry("agent:app", "Report what a machine is doing, and its neighbours.", RUN),
    "intake": Entry("intake:app", "Take OpenTelemetry, Prometheus and QoA4ML as events.", RUN),
    "gateway": Entry("gateway:gateway", "Serve inference and control over HTTP.", RUN),
    "apps": Entry("apps:app", "Applications, their stages and graph of services.", REGISTER),
    "services": Entry("services:app", "Models and microservices that can be placed.", REGISTER),
    "models": Entry("models:app", "Model files: publish, see, clear away.", REGISTER),
    "placement": Entry("placement:app", "What is placed, why, and whether it is done.", REGISTER),
    "freeze": Entry("freeze:freeze", "Stop all deeds at once; what runs goes on.", REGISTER),
    "unfreeze": Entry("freeze:unfreeze", "End a freeze.", REGISTER),
    "contracts": Entry("contracts:app", "What consumers were promised.", REGISTER),
    "remedies": Entry(
        "remedies:app", "What is done about findings, and what came of it.", REGISTER
    ),
    "notify": Entry("notify:app", "Who is told of findings.", REGISTER),
    "ensembles": Entry("ensembles:app", "Who answers, why, and who shall.", REGISTER),
    "consumers": Entry("consumers:app", "Who may ask for inference.", REGISTER),
    "observe": Entry(
        "observe:app", "Windows and metrics of applications, and what they show.", REGISTER
    ),
    "rules": Entry("rules:app", "Rules of quality: what is bad, and how bad.", REGISTER),
    "silences": Entry("silences:app", "Verdicts that are not told on for a while.", REGISTER),
    "produce": Entry("produce:produce", "Check events and send them to a topic.", REGISTER),
    "infer": Entry("infer:infer", "Ask an application once.", REGISTER),
    "payloads": Entry("payloads:app", "Large inputs that are stored: see, clear away.", MEND),
    "erase": Entry("erase:erase", "Forget what is kept of a person.", MEND),
    "source": Entry("source:source", "Send pictures, videos or rows as requests.", REGISTER),
    "schemas": Entry("schemas:app", "Contracts of events: check and register.", REGISTER),
    "topics": Entry("topics:app", "The topics and what stands on them.", REGISTER),
    "status": Entry("status:app", "What runs on this machine, and how it is.", LOOK),
    "doctor": Entry("doctor:doctor", "Check the whole installation; say what to do.", LOOK),
    "diagnose": Entry("diagnose:app", "Why quality fell, the likeliest cause first.", LOOK),
    "drifts": Entry("drifts:app", "What is no longer as it was, since when, and why.", LOOK),
    "quality": Entry("quality:quality", "What is bad now, the worst first.", LOOK),
    "simulate": Entry("simulate:app", "What a worker would do with a load.", LOOK),
    "compare": Entry("compare:app", "Orders of a worker on the same load.", LOOK),
    "dispatch": Entry("dispatch:app", "Where a worker would send a task.", LOOK),
    "nodes": Entry("nodes:app", "Nodes: see, register, drain.", LOOK),
    "plugins": Entry("plugins:app", "Plug-ins of others: see, hold to the laws.", LOOK),
    "sql": Entry("sql:sql", "Ask ClickHouse.", LOOK),
    "sink": Entry("sink:app", "What ClickHouse lacks: fill it from Kafka.", MEND),
    "deadletters": Entry("deadletters:app", "Refused messages: see, retry, discard.", MEND),
    "snapshots": Entry("snapshots:app", "Saved states: see, carry over, make anew.", MEND),
    "bench": Entry("bench:app", "Measure a whole stack, and what its failures cost.", LOOK),
    "config": Entry("config:config", "Show the settings in force.", LOOK),
}


class _Lazy(TyperGroup):
    """Lists commands from the table and imports the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel)
            for name, entry in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that the arguments begin with, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else command, rest


def load(name: str) -> Any:
    """Import the command of a name and return it as the command line runs it."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    found = getattr(importlib.import_module(f"streams.commands.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    command.help = command.help or COMMANDS[name].help
    return command


app = typer.Typer(cls=_Lazy, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"weir {metadata.version('weir')}")
        raise typer.Exit


@app.callback()
def weir(
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with settings; WEIR_ variables win.")
    ] = None,
    version: Annotated[  # noqa: ARG001 - acts by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Observe and steer machine-learning inference on edge clusters, over Kafka.

    Exit codes: 0 done, 1 internal error, 2 usage, 3 dependency unavailable, 4 bad data.
    """
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)


def main() -> None:
    """Run the command line; what goes wrong is said in one line."""
    try:
        app()
    except Exception as error:  # noqa: BLE001 - the last resort: nobody shall meet a bare traceback
        message, code = explain(error)
        sys.stderr.write(f"weir: {message}\n")
        sys.exit(code)


if __name__ == "__main__":
    main()
