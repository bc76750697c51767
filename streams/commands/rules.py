"""`weir rules`: the first tier of quality, as operators define it."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    add_looking,
    add_removing,
    check_owner,
    opened,
    send_changed,
)

if TYPE_CHECKING:
    from schemas.quality import RuleDefined
    from streams.entries import Entries

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("rule", "app", "where", "kind", "what", "severity", "state", "since")
File = Annotated[
    Path, typer.Option("--file", "-f", help="TOML, JSON or YAML, by the end of its name.")
]


@app.command()
def register(file: File, *, as_json: AsJson = False) -> None:
    """Define rules of quality; the same again changes nothing.

    All are checked before one is sent. They hold from the next window on, without a restart. What
    the file does not name stays as it is.
    """
    from streams.commands.output import show_outcome

    with opened() as entries:
        wanted, warnings = _checked(entries, file)
        known = entries.of(_kind())
        for one in wanted:
            if one.name in known:
                check_owner(entries, "rule", one.name, known[one.name].owner, one.owner)
        changed = send_changed(entries, wanted)
    outcome = {
        "defined": [one.name for one in wanted],
        "changed": changed,
        "warnings": warnings,
    }
    told = f"{len(wanted)} rules, changed: {', '.join(changed) or 'none'}"
    show_outcome(outcome, told, as_json=as_json)


@app.command()
def check(file: File, *, as_json: AsJson = False) -> None:
    """Say whether the rules of a file would be taken, besides those that stand; send nothing."""
    from processors.rules.meaning import words
    from streams.commands.output import show_outcome

    with opened() as entries:
        wanted, warnings = _checked(entries, file)
    outcome = {"rules": {one.name: words(one) for one in wanted}, "warnings": warnings}
    told = "\n".join(f"{one.name}: {words(one)}" for one in wanted)
    show_outcome(outcome, told, as_json=as_json)


def _checked(entries: "Entries", file: Path) -> tuple[list["RuleDefined"], list[str]]:
    """Return the rules of a file and what may be amiss, told on standard error.

    Raises RegistrationError.
    """
    from streams import text_files
    from streams.definitions import KINDS, others
    from streams.errors import RegistrationError
    from streams.forms import rules
    from streams.registration import metrics_defined
    from workers.clock import wall_ms
    from workers.handover.errors import DocumentRefused

    content = text_files.content(file, DocumentRefused, "write [[rules]] tables")
    if not isinstance(content, dict):
        raise RegistrationError(f"{file} must hold a table with app and rules")
    wanted = rules.read(content, wall_ms())
    catalogue = entries.catalogue(*KINDS)
    taken = others(catalogue, [kind for kind in KINDS if kind is not _kind()])
    warnings = rules.check(wanted, catalogue.of(_kind()), taken, _plugins())
    warnings += rules.unknown_metrics(wanted, metrics_defined(catalogue))
    for warning in warnings:
        typer.echo(f"weir: warning: {warning}", err=True)
    return wanted, warnings


def _kind() -> type["RuleDefined"]:
    from schemas.quality import RuleDefined

    return RuleDefined


@cache
def _plugins() -> frozenset[str]:
    """Return the kinds of rules that are installed here."""
    from importlib.metadata import entry_points

    return frozenset(entry.name for entry in entry_points(group="weir.rules"))


def _row(rule: Any, now_ms: int, known: Any) -> tuple[Any, ...]:
    from processors.rules import meaning
    from streams.commands.output import since

    refused = meaning.against(known.of(_kind()), rule.name, _plugins())
    where = [f"{name}={value}" for name in _SCOPE if (value := getattr(rule, name))]
    state = "stopped" if rule.stopped else f"refused: {refused}" if refused else "in force"
    return (
        rule.name,
        rule.app,
        " ".join(where) or "every series",
        meaning.kind_of(rule),
        meaning.words(rule),
        rule.severity,
        state,
        since(rule.registered_at, now_ms),
    )


_SCOPE = ("stage", "service", "instance", "node", "window")


def _show(name: str) -> None:
    """Show all that is known of one rule, and what it asks in words."""
    from processors.rules.meaning import words
    from streams.commands.output import show_event
    from streams.registration import unknown

    with opened() as entries:
        found = entries.of(_kind())
    if name not in found:
        raise unknown("rule", name, found)
    typer.echo(words(found[name]), err=True)
    show_event(found[name])


def _may_remove(entries: "Entries", rule: Any) -> None:
    check_owner(entries, "rule", rule.name, rule.owner)


add_looking(app, "RuleDefined", "rule", COLUMNS, _row, "RuleDefined")
app.command("show", help="Show one rule: in words, and all fields as JSON.")(_show)
add_removing(app, "RuleDefined", "rule", _may_remove)
