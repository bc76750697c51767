"""`weir services`: models and microservices that can be placed on nodes."""

from typing import Any

import typer

from streams.commands.nouns import add_looking, add_removing, check_service_owner
from streams.commands.services_import import import_manifest, import_result
from streams.commands.services_profile import profile
from streams.commands.services_register import register

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("service", "app", "stage", "cpu m", "memory MiB", "accuracy", "latency ms", "artifact")


app.command()(register)
app.command()(profile)


@app.command()
def template() -> None:
    """Print a form in TOML with every field of a service, to fill in."""
    from streams.forms import schema as form_schema

    typer.echo(form_schema.template(form_schema.SERVICE), nl=False)


def _row(entry: Any, _: int) -> tuple[Any, ...]:
    return (
        entry.service,
        entry.app,
        entry.stage,
        entry.cpu_milli,
        entry.memory_mib,
        entry.accuracy,
        entry.latency_ms,
        entry.artifact,
    )


app.command("import-result")(import_result)
app.command("import-manifest")(import_manifest)
add_looking(app, "ServiceRegistered", "service", COLUMNS, _row)


def _check(entries: Any, known: Any) -> None:
    check_service_owner(entries, known.service, known.app)


def _policies(name: str, scopes: Any) -> list[str]:
    from streams.registration import policies_of

    return policies_of(name, scopes)


add_removing(app, "ServiceRegistered", "service", _check, _policies)
