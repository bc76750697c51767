"""`weir snapshots`: the saved states of processors, and what to do when one does not fit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, quiet_settings

if TYPE_CHECKING:
    from schemas.codec import Codec
    from schemas.processing import Spec
    from workers.settings import Settings
    from workers.snapshots.care import Mended, Saved

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("processor", "partition", "format", "parameters", "fits", "offsets", "age", "bytes")
SHORT = 12
Named = Annotated[str, typer.Argument(metavar="PROCESSOR")]


@app.command("list")
def list_(
    processor: Annotated[str, typer.Argument(help="Of one processor alone.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List saved states: whether these programs take them, where they stood, age and size.

    Of processors that these programs do not have it shows those that were written lately.
    """
    from streams import topology
    from streams.commands.output import show_rows
    from workers.clock import wall_ms
    from workers.kafka.clients import partition_counts
    from workers.snapshots.care import read_saved

    with _opened() as (settings, codec):
        known = [processor] if processor in topology.PROCESSORS else topology.PROCESSORS
        specs = [topology.spec_named(name) for name in known]
        found = read_saved(settings, codec, specs, others=True)
        counts = partition_counts(settings.kafka)
    now_ms, asked = wall_ms(), [one for one in found if processor in ("", one.processor)]
    rows = (_row(saved, counts, now_ms, as_json) for saved in asked)
    show_rows(COLUMNS, rows, as_json=as_json)


@app.command()
def migrate(processor: Named, *, as_json: AsJson = False) -> None:
    """Carry saved states over to the present format and parameters, where that can be done.

    The processor then goes on as if its parameters had been changed at this point. Refused while
    one of its processes lives.
    """
    from streams import topology
    from workers.snapshots.care import migrate as carry_over

    spec = topology.spec_named(processor)
    with _opened() as (settings, codec):
        _tell(carry_over(settings, codec, spec, topology.groups_of(processor)), as_json=as_json)


@app.command()
def rebuild(
    processor: Named,
    *,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Go on without what cannot be made anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make saved states anew: from the log where it tells them, or afresh with --accept-loss.

    Nothing is emitted while the log is read again. The processor then goes on as if its parameters
    had always been these. Refused while one of its processes lives.
    """
    from streams import topology
    from workers.snapshots.rebuilding import Terms
    from workers.snapshots.rebuilding import rebuild as make_anew

    spec = topology.spec_named(processor)
    terms = Terms(topology.PROCESSORS[processor].host is topology.Host.BATCH, accept_loss)
    groups = topology.groups_of(processor)
    with _opened() as (settings, codec):
        _tell(make_anew(settings, codec, spec, groups, terms), as_json=as_json)


@contextmanager
def _opened() -> "Iterator[tuple[Settings, Codec]]":
    from workers.registry import Registry

    settings = quiet_settings()
    registry = Registry(settings.registry)
    try:
        yield settings, registry.codec()
    finally:
        registry.close()


def _row(saved: "Saved", counts: Mapping[str, int], now_ms: int, as_json: bool) -> tuple[Any, ...]:
    from streams.commands.output import since

    place = (saved.processor, saved.partition)
    snapshot = saved.snapshot
    if snapshot is None:
        return (*place, None, None, f"unreadable: {saved.unreadable}", None, None, saved.size)
    offsets = {f"{p.topic}/{p.partition}": p.next_offset for p in snapshot.positions}
    return (
        *place,
        snapshot.format,
        snapshot.parameters if as_json else snapshot.parameters[:SHORT],
        _fits(saved, counts),
        offsets if as_json else [f"{name} {at}" for name, at in offsets.items()],
        snapshot.taken_at if as_json else since(snapshot.taken_at, now_ms),
        saved.size,
    )


def _fits(saved: "Saved", counts: Mapping[str, int]) -> str:
    from streams import topology
    from workers.hosting.sizes import sized
    from workers.snapshots.keeping import refusal

    if saved.snapshot is None or saved.processor not in topology.PROCESSORS:
        return "no such processor"
    spec: Spec = sized(topology.spec_named(saved.processor), counts)
    why = refusal(saved.snapshot, spec)
    return "yes" if why is None else f"no: {why}"


def _tell(mended: "Sequence[Mended]", *, as_json: bool) -> None:
    from streams.commands.output import show_rows

    rows = [(one.key, one.told, one.before, one.after) for one in mended]
    if not rows and not as_json:
        typer.echo("every saved state fits already")
        return
    show_rows(("state", "outcome", "bytes before", "bytes after"), rows, as_json=as_json)
