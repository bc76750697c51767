"""`weir restart`: new processes for old ones, while everything goes on."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.embedded.renewals import Renewals
    from streams.running import State


def restart(
    names: Annotated[
        list[str] | None, typer.Argument(help="Processes as `weir status` lists them, or nodes.")
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every process but the broker, one after the other.")
    ] = False,
    data_dir: Annotated[Path | None, typer.Option(help="That of `weir up`.")] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, help="How long each may take, s.")
    ] = 90.0,
) -> None:
    """Replace processes of the running stack by new ones, and lose no request.

    Each finishes what it does and makes room for its successor. A node's worker ends when its
    successor serves. The broker is not restarted: what it holds would be lost.
    """
    from streams.embedded.renewals import Renewals
    from streams.errors import StackError
    from streams.running import find
    from streams.settings import load

    where = data_dir or load().data_dir
    state = find(where)
    if state is None:
        raise StackError(f"nothing runs out of {where}; `weir up` starts it")
    renewals = Renewals(where)
    wanted = _all(state, renewals) if everything else names or []
    if not wanted:
        raise typer.BadParameter("name processes or nodes, or say --all")
    nodes = set(renewals.nodes())
    if nodes & set(wanted):
        _refuse_frozen(where)
    for name in wanted:
        if name in nodes:
            renewals.restart_node(name, timeout_s)
        else:
            renewals.restart(name, lambda: find(where), timeout_s)
        typer.echo(f"{name} is renewed")


def _refuse_frozen(where: Path) -> None:
    """Say at once that no worker is renewed while deeds are frozen. Raises StackError."""
    from schemas.authority import FREEZE, REASON, frozen, parameter
    from schemas.registrations import PolicySelected
    from streams.entries import Entries
    from streams.errors import StackError
    from streams.running import settings_of_running

    environ = os.environ | {"WEIR_DATA_DIR": str(where)}
    with Entries(settings_of_running(environ=environ)) as entries:
        stop = frozen(entries.catalogue(PolicySelected))
    if stop is not None:
        why = parameter(stop, REASON) or "nobody said why"
        raise StackError(f"no worker is renewed in a {FREEZE} ({why}); `weir unfreeze` ends it")


def _all(state: "State", renewals: "Renewals") -> list[str]:
    parts = [part.name for part in state.parts if part.name != "broker"]
    return [*parts, *renewals.nodes()]
