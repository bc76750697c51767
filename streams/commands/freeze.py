"""`weir freeze` and `weir unfreeze`: no deed, at once and everywhere, until it is ended."""

from typing import Annotated

import typer

from streams.commands.nouns import AsJson, check_owner, opened

Of = Annotated[str, typer.Option("--app", help="Of one application alone.")]
Reason = Annotated[str, typer.Option(help="Why; it is told with every refusal.")]


def freeze(*, of: Of = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """Stop all deeds at once: nothing is decided, started, moved or ended; what runs goes on.

    A worker that crashes meanwhile stays down. It holds over restarts, until `weir unfreeze`.
    """
    _switch(of, True, reason, as_json=as_json)


def unfreeze(*, of: Of = "", reason: Reason = "", as_json: AsJson = False) -> None:
    """End a freeze: of everything, or with --app of one application, if that was frozen itself."""
    _switch(of, False, reason, as_json=as_json)


def _switch(of: str, on: bool, reason: str, *, as_json: bool) -> None:
    from schemas.authority import FREEZE, standing
    from schemas.registrations import ApplicationRegistered, PolicySelected
    from streams.commands.switching import switched
    from streams.registration import unknown

    with opened() as entries:
        apps = entries.of(ApplicationRegistered)
        if of in apps:
            check_owner(entries, "application", of, apps[of].owner)
        elif of and on:
            raise unknown("application", of, apps)
        whose = f"application {of}" if of else "everything"
        told = f"{whose} is frozen" if on else f"{whose} is frozen no more"
        scope = f"{FREEZE}/{of}" if of else FREEZE
        kind = "deeds.freeze" if on else "deeds.unfreeze"
        switched(entries, scope, kind, of or "*", told, reason, on=on, as_json=as_json)
        if of and not on and standing(entries.catalogue(PolicySelected), FREEZE) is not None:
            why = "everything is frozen still; `weir unfreeze` ends that"
            typer.echo(f"weir: warning: {why}", err=True)
