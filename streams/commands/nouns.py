"""The verbs that every noun of the catalogue has: list and get, and remove where one may."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from schemas.base import Event
    from schemas.catalogue import Catalogue
    from streams.entries import Entries
    from workers.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse what names an application that is not registered.")
]
Row = Callable[..., Sequence[Any]]
"""From an entry and the time, ms since the epoch, to the cells of its row; see `add_looking`."""
Check = Callable[["Entries", Any], None]
"""Raises when an entry may not be changed."""


def add_looking(
    app: typer.Typer, record: str, noun: str, columns: Sequence[str], row: Row, *others: str
) -> None:
    """Give a noun the verbs list and get; `record` names the event class of its entries.

    Where `others` are named, rows are made with a catalogue of theirs, too.
    """

    def list_(*, as_json: AsJson = False) -> None:
        from schemas.events import event_named
        from streams.commands.output import show_rows
        from workers.clock import wall_ms

        now_ms = wall_ms()
        known = _catalogue(record, *others)
        found = known.of(event_named(record))
        more = (known,) if others else ()
        rows = (row(found[key], now_ms, *more) for key in sorted(found))
        show_rows(columns, rows, as_json=as_json)

    def get(name: str, *, as_json: AsJson = False) -> None:  # noqa: ARG001 - always JSON
        from schemas.events import event_named
        from streams.commands.output import show_event
        from streams.registration import unknown

        found = _catalogue(record).of(event_named(record))
        if name not in found:
            raise unknown(noun, name, found)
        show_event(found[name])

    app.command("list", help=f"List every {noun}.")(list_)
    app.command("get", help=f"Show all that is known of one {noun}, as JSON.")(get)


def add_removing(
    app: typer.Typer,
    record: str,
    noun: str,
    check: "Check | None" = None,
    policies: "Callable[[str, Iterable[str]], list[str]] | None" = None,
) -> None:
    """Give a noun the verb remove, a tombstone; `check` raises when it may not be removed.

    `policies` returns which scopes of those that there are go with an entry.
    """

    def remove(name: str) -> None:
        from schemas.events import event_named
        from schemas.registrations import PolicySelected
        from streams.registration import unknown

        kind = event_named(record)
        with opened() as entries:
            found = entries.of(kind)
            if name not in found:
                raise unknown(noun, name, found)
            if check is not None:
                check(entries, found[name])
            entries.remove(kind, name)
            gone = []
            if policies is not None:
                gone = policies(name, entries.of(PolicySelected))
                for scope in gone:
                    entries.remove(PolicySelected, scope)
            entries.flush()
        also = f", and its policies {', '.join(gone)}" if gone else ""
        typer.echo(f"removed {noun} {name}{also}")

    app.command("remove", help=f"Remove a {noun}; its history stays in SQL.")(remove)


def _catalogue(*records: str) -> "Catalogue":
    from schemas.events import event_named

    with opened() as entries:
        return entries.catalogue(*map(event_named, records))


def opened() -> "Entries":
    """Return the catalogue of the stack that runs, or of the one that is configured."""
    from streams.entries import Entries

    return Entries(quiet_settings())


def quiet_settings() -> "Settings":
    """Return the settings in force; libraries log nothing, because errors are told in one line.

    At log level DEBUG they do.
    """
    from streams.running import settings_of_running
    from workers import telemetry

    settings = settings_of_running()
    telemetry.configure("DEBUG" if settings.log_level.upper() == "DEBUG" else "CRITICAL")
    return settings


def table_of(file: Path | None) -> dict[str, Any]:
    """Return what a TOML file says; nothing when there is no file.

    Raises RegistrationError when it cannot be read.
    """
    from streams import toml
    from streams.errors import RegistrationError

    if file is None:
        return {}
    try:
        content: dict[str, Any] = toml.parsed(file.read_text("utf-8"))
    except OSError as error:
        raise RegistrationError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise RegistrationError(f"{file} is no TOML: {error}") from error
    return content


def given(**values: Any) -> dict[str, Any]:
    """Return the options that were given: neither None nor an empty list."""
    return {key: value for key, value in values.items() if value is not None and value != []}


def send_changed(entries: "Entries", events: "Sequence[Event]") -> list[str]:
    """Send the registrations that do not stand already, in order, and return their keys."""
    from schemas.topics import key_of

    known = entries.catalogue(*{type(event) for event in events})
    changed = [
        event for event in events if not _stands(known.get(type(event), key_of(event)), event)
    ]
    entries.send(changed)
    return [key_of(event) for event in changed]


def _stands(known: "Event | None", event: "Event") -> bool:
    return known is not None and getattr(known, "event_id", "") == getattr(event, "event_id", None)


def check_owner(entries: "Entries", what: str, target: str, owner: str, declared: str = "") -> None:
    """Let nobody but its owner change what has one; a refusal is told on weir.actions, too.

    One changes things as `identity.user` of the settings, or else as the owner that one declares.
    Raises RegistrationError.
    """
    from placement.authority import may_change
    from streams.authorizing import deed
    from streams.errors import RegistrationError
    from workers.clock import wall_ms

    settings = entries.settings
    by = settings.identity.user or declared
    if not by and settings.authority.anonymous:
        return
    told = may_change(owner, by, f"{what} {target}")
    if told:
        kind = f"{what}.refused"
        who = {"by": by, "owner": owner}
        entries.send([deed(kind, target, "refused", told, wall_ms(), policy="owners", told=who)])
        raise RegistrationError(f"{told}; say who you are with WEIR_IDENTITY__USER")


def check_steering(
    entries: "Entries", known: "Catalogue", app: str, *, change: bool, ending: bool = False
) -> None:
    """Let nobody steer an application that is not registered, nor change another's; '' is all.

    What is in force may be ended (`ending`) once its application is gone. Raises RegistrationError.
    """
    from schemas.registrations import ApplicationRegistered
    from streams.registration import unknown

    registered = known.get(ApplicationRegistered, app)
    if registered is None and app and not ending:
        raise unknown("application", app, known.of(ApplicationRegistered))
    if registered is not None and change:
        check_owner(entries, "application", app, registered.owner)


def check_service_owner(entries: "Entries", service: str, app: str, declared: str = "") -> None:
    """Let nobody change a service but its owner, or register one but its application's.

    A service without an owner of its own belongs to the application's. Raises RegistrationError.
    """
    from schemas.registrations import ApplicationRegistered, ServiceRegistered

    known = entries.catalogue(ApplicationRegistered, ServiceRegistered)
    standing = known.get(ServiceRegistered, service)
    apps = dict.fromkeys((standing.app, app) if standing is not None else (app,))
    owners = [standing.owner] if standing is not None else []
    owners += [one.owner for name in apps if (one := known.get(ApplicationRegistered, name))]
    for owner in dict.fromkeys(owners):
        check_owner(entries, "service", service, owner, declared)


def check_contract_owner(entries: "Entries", contract: str, declared: str) -> None:
    """Let nobody but its owner register a contract anew. Raises RegistrationError."""
    from schemas.registrations import ContractRegistered

    standing = entries.of(ContractRegistered).get(contract)
    if standing is not None:
        check_owner(entries, "contract", contract, standing.owner, declared)


def check_application(
    entries: "Entries", noun: str, name: str, app: str, *, strict: bool
) -> list[str]:
    """Return a warning, told on standard error, when an application is not registered.

    Registrations may come in any order. Raises RegistrationError instead when `strict`.
    """
    from schemas.registrations import ApplicationRegistered
    from streams.errors import RegistrationError

    known = entries.of(ApplicationRegistered)
    if not app or app in known:
        return []
    listed = ", ".join(sorted(known)) or "none"
    told = (
        f"{noun} {name} names application {app}, which is not registered ({listed}); it has no "
        f"effect until `weir apps register {app}`"
    )
    if strict:
        raise RegistrationError(told)
    typer.echo(f"weir: warning: {told}", err=True)
    return [told]
