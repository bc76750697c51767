"""`weir remedies`: which finding may cause which action, and what came of it."""

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    add_removing,
    check_application,
    check_owner,
    check_steering,
    opened,
    send_changed,
)

if TYPE_CHECKING:
    from schemas.decisions import ActionTaken
    from schemas.quality import RemedyDefined
    from streams.entries import Entries

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("name", "app", "on", "where", "action", "cool-down", "verified", "undone", "state")
HISTORY = ("at", "action", "target", "status", "helped", "remedy", "why")
_SCOPE = ("stage", "service", "instance", "node", "rule", "tier", "metric", "min_severity")
File = Annotated[Path, typer.Option("--file", "-f", help="TOML, JSON or YAML by its name.")]
Of = Annotated[str, typer.Option("--app", help="Of one application alone.")]


@app.command()
def register(file: File, *, as_json: AsJson = False) -> None:
    """Register the remedies of a file; the same again changes nothing.

    All are checked before one is sent. They hold at once. In mode recommend it is told what they
    would do; `weir remedies mode act` lets them.
    """
    from streams.commands.output import show_outcome

    with opened() as entries:
        wanted, warnings = _checked(entries, file)
        changed = send_changed(entries, wanted)
    names = [one.name for one in wanted]
    outcome = {"remedies": names, "changed": changed, "warnings": warnings}
    told = f"{len(names)} remedies, changed: {', '.join(changed) or 'none'}"
    show_outcome(outcome, told, as_json=as_json)


@app.command()
def check(file: File, *, as_json: AsJson = False) -> None:
    """Check a file of remedies against what is registered; nothing is sent."""
    from streams.commands.output import show_outcome

    with opened() as entries:
        wanted, warnings = _checked(entries, file)
    names = [one.name for one in wanted]
    told = f"{len(names)} remedies will do: {', '.join(names)}"
    show_outcome({"remedies": names, "warnings": warnings}, told, as_json=as_json)


@app.command("list")
def list_(*, of: Of = "", as_json: AsJson = False) -> None:
    """List every remedy."""
    from schemas.quality import RemedyDefined
    from streams.commands.output import show_rows

    with opened() as entries:
        known = entries.of(RemedyDefined)
    found = [known[name] for name in sorted(known) if not of or known[name].app in ("", of)]
    show_rows(COLUMNS, (_row(one) for one in found), as_json=as_json)


@app.command()
def show(name: str, *, as_json: AsJson = False) -> None:  # noqa: ARG001 - always JSON
    """Show all of one remedy, as JSON."""
    from schemas.quality import RemedyDefined
    from streams.commands.output import show_event
    from streams.registration import unknown

    with opened() as entries:
        known = entries.of(RemedyDefined)
    if name not in known:
        raise unknown("remedy", name, known)
    show_event(known[name])


@app.command()
def history(
    *,
    of: Of = "",
    remedy: Annotated[str, typer.Option(help="Of one remedy alone.")] = "",
    most: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what remedies did and refused, and whether it helped, newest first; from Kafka."""
    from schemas.decisions import ActionTaken
    from streams.commands.output import show_rows

    with opened() as entries:
        every = entries.events("weir.actions", naming=("remedy.",))
    found = [
        one
        for one in every
        if isinstance(one, ActionTaken)
        and one.kind.startswith("remedy.")
        and of in ("", one.app)
        and remedy in ("", one.policy)
    ]
    show_rows(HISTORY, (_told(one) for one in reversed(found[-most:])), as_json=as_json)


@app.command()
def mode(
    chosen: Annotated[str, typer.Argument(help="observe, recommend or act; absent: shown.")] = "",
    *,
    of: Of = "",
    as_json: AsJson = False,
) -> None:
    """Show or choose what remedies may do: nothing, tell what they would do, or do it.

    Without --app they may do no more than the mode of the installation lets them.
    """
    from processors.remedying.steps import COMPONENT
    from schemas.authority import MODES, mode_of
    from schemas.registrations import ApplicationRegistered, PolicySelected
    from streams import authorizing
    from streams.commands.output import show_outcome
    from workers.clock import wall_ms

    if chosen and chosen not in MODES:
        raise typer.BadParameter(f"{chosen!r} is none of {', '.join(MODES)}")
    scope = f"{COMPONENT}/{of}" if of else COMPONENT
    with opened() as entries:
        known = entries.catalogue(PolicySelected, ApplicationRegistered)
        check_steering(entries, known, of, change=bool(chosen))
        if chosen:
            policy = known.get(PolicySelected, scope)
            made = authorizing.mode(scope, chosen, policy, wall_ms())
            told = {"by": entries.settings.identity.user}
            words = f"the mode of remedies is {chosen}"
            deed = authorizing.deed(
                "mode.selected", of or "*", "done", words, wall_ms(), policy=scope, told=told
            )
            entries.send([made, deed])
            known = entries.catalogue(PolicySelected)
    now = mode_of(known, COMPONENT, of)
    told_now = f"the mode of remedies of {of or 'applications without one of their own'} is {now}"
    show_outcome({"app": of, "mode": now}, told_now, as_json=as_json)


def _checked(entries: "Entries", file: Path) -> "tuple[list[RemedyDefined], list[str]]":
    """Return what a file wants, and what is odd about it. Raises RegistrationError."""
    from processors.remedying.actions import ACTIONS
    from schemas.quality import RemedyDefined
    from streams.definitions import KINDS, others
    from streams.errors import RegistrationError
    from streams.forms import remedies as forms
    from streams.plugins import remedies as plugins
    from workers.clock import wall_ms

    actions = {**plugins.installed(), **ACTIONS}
    wanted = forms.read(file, actions, entries.settings.identity.user, wall_ms())
    standing = entries.of(RemedyDefined)
    kinds = [kind for kind in KINDS if kind is not RemedyDefined]
    taken = others(entries.catalogue(*kinds), kinds)
    for one in wanted:
        if one.name in taken:
            raise RegistrationError(f"{file}: {one.name} is the name of a {taken[one.name]}")
        if one.name in standing:
            check_owner(entries, "remedy", one.name, standing[one.name].owner, one.owner)
    warnings = forms.fights(wanted, standing)
    for told in warnings:
        typer.echo(f"weir: warning: {told}", err=True)
    for one in wanted:
        warnings += check_application(entries, "remedy", one.name, one.app, strict=False)
    return wanted, warnings


def _row(one: "RemedyDefined") -> tuple[Any, ...]:
    where = [f"{name}={getattr(one, name)}" for name in _SCOPE if getattr(one, name)]
    where += [f"cause={cause}" for cause in one.causes]
    with_ = ", ".join(f"{entry.key}={entry.value}" for entry in one.parameters)
    verified = f"after {one.verify_ms / 1000:g} s" if one.verify_ms else "no"
    return (
        one.name,
        one.app,
        one.on,
        where,
        f"{one.action} {with_}".strip(),
        f"{one.cooldown_ms / 1000:g} s",
        verified,
        "yes" if one.undo else "no",
        "stopped" if one.stopped else "on",
    )


def _told(one: "ActionTaken") -> tuple[Any, ...]:
    at = datetime.fromtimestamp(one.taken_at / 1000, timezone.utc).isoformat(timespec="seconds")
    helped = {True: "yes", False: "no", None: ""}[one.helped]
    kind = one.kind.removeprefix("remedy.")
    return (at, kind, one.target, one.status, helped, one.policy, one.reason)


def _check(entries: "Entries", known: Any) -> None:
    check_owner(entries, "remedy", known.name, known.owner)


add_removing(app, "RemedyDefined", "remedy", _check)
