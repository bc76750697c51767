"""`weir notify`: who is told of findings, and whether that works."""

from typing import Annotated

import typer

from streams.commands.nouns import AsJson, quiet_settings

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def notify() -> None:
    """Tell people: `weir run notify` does it, remedies say what."""


@app.command("test")
def try_(
    *,
    receiver: Annotated[str, typer.Option(help="webhook or alertmanager; all when absent.")] = "",
    as_json: AsJson = False,
) -> None:
    """Send one message to each receiver of the settings now, and say whether it was taken.

    Alertmanager is told that it is resolved, so that nobody is called.
    """
    from streams.commands.output import show_rows
    from streams.errors import SettingsError
    from workers.clock import wall_ms
    from workers.notifying.notices import RECEIVERS, trial
    from workers.notifying.outbox import Message
    from workers.notifying.sending import attempt, terms_of

    settings = quiet_settings().notify
    receivers = terms_of(settings).receivers
    if receiver and receiver not in RECEIVERS:
        raise typer.BadParameter(f"{receiver!r} is none of {', '.join(RECEIVERS)}")
    wanted = [name for name in receivers if receiver in ("", name)]
    if not wanted:
        raise SettingsError(
            "nobody is to be told: name a receiver by WEIR_NOTIFY__WEBHOOK_URL or "
            "WEIR_NOTIFY__ALERTMANAGER_URL"
        )
    notice = trial(wall_ms())
    found = {name: attempt(settings, Message(name, (notice,)), notice.at)[0] for name in wanted}
    rows = ((name, "no" if why else "yes", why) for name, why in found.items())
    show_rows(("receiver", "taken", "why not"), rows, as_json=as_json)
    if any(found.values()):
        raise typer.Exit(1)
