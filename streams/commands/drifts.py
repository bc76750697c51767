"""`weir drifts`: what is no longer as it was, since when, and why."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, opened

if TYPE_CHECKING:
    from streams.drifts import Story

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = (
    *("drift", "app", "where", "metric", "detector", "status", "kind", "cause"),
    *("before", "after", "effect", "confidence", "since", "events", "retrain"),
)
SHIFTS = ("feature", "statistic", "before", "after", "effect", "p-value")
TOLD = ("told", "status", "event")
Of = Annotated[str, typer.Option("--app", help="Of one application alone.")]


@app.callback()
def drifts() -> None:
    """What is no longer as it was, since when, and why."""


@app.command(name="list")
def list_(
    *,
    of: Of = "",
    metric: Annotated[str, typer.Option(help="Of one metric alone, or of inputs, outputs.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    everything: Annotated[
        bool, typer.Option("--all", help="Warnings that came to nothing, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List drifts out of what weir.drifts holds, the newest last: one row each, as it stands.

    A policy chooses the detector: `weir sql`, view drift_stories, has them over time.
    """
    from streams.commands.output import show_rows
    from streams.drifts import DISMISSED
    from workers.clock import wall_ms

    now_ms = wall_ms()
    found = [
        story
        for story in _stories(of)
        if metric in ("", story.newest.metric) and (everything or story.newest.status != DISMISSED)
    ]
    rows = (_row(story, now_ms, as_json=as_json) for story in found[-limit:])
    show_rows(COLUMNS, rows, as_json=as_json)


@app.command()
def show(
    drift: Annotated[
        str, typer.Argument(help="Its id, or how that begins; the newest when absent.")
    ] = "",
    *,
    of: Of = "",
    as_json: AsJson = False,
) -> None:
    """Show a drift: how it was told, what moved, the cause, and the events of the new concept."""
    import json

    from schemas.introspect import to_plain
    from streams.commands.output import show_rows
    from streams.drifts import chosen

    story = chosen(_stories(of), drift)
    one = story.newest
    if as_json:
        plain = [to_plain(type(each))(each) for each in story.told]
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{one.metric} of {_where(one) or one.app}: {one.kind} drift, {one.status}")
    typer.echo(f"from {one.before:.6g} to {one.after:.6g}, effect {one.effect_size:.3g}")
    typer.echo(f"cause {one.cause or 'unknown'}; training anew is {_advice(one.retrain)}")
    for source in one.sources:
        place = f"{source.topic}/{source.partition} from {source.first} to {source.last}"
        typer.echo(f"{one.events} events of the new concept: {place}")
    if one.concept:
        again = f", which held before (as {one.recurs[:12]})" if one.recurs else ""
        typer.echo(f"concept {one.concept[:12]}{again}")
    told = ((f"{_after(each, story):+.1f} s", each.status, each.event_id) for each in story.told)
    show_rows(TOLD, told, as_json=False)
    shifts = one.features
    rows = ((s.feature, s.statistic, s.before, s.after, s.effect, s.p_value) for s in shifts)
    show_rows(SHIFTS, rows, as_json=False)


def _stories(of: str) -> "list[Story]":
    from streams.drifts import stories

    with opened() as entries:
        return stories(entries.events("weir.drifts", of))


def _row(story: "Story", now_ms: int, *, as_json: bool) -> tuple[Any, ...]:
    from streams.commands.output import since

    one = story.newest
    return (
        one.event_id if as_json else one.event_id[:12],
        one.app,
        _where(one),
        one.metric,
        one.detector,
        one.status,
        one.kind,
        one.cause,
        one.before,
        one.after,
        one.effect_size,
        one.confidence,
        one.since if as_json else f"{since(one.since, now_ms)} ago",
        one.events,
        one.retrain,
    )


def _where(one: Any) -> str:
    return "/".join(text for text in (one.stage, one.service, one.instance, one.node) if text)


def _after(one: Any, story: "Story") -> float:
    """Return how long after the new concept began an event told of it, in seconds."""
    return float(one.detected_at - story.newest.since) / 1000


def _advice(retrain: bool) -> str:
    return "advised" if retrain else "not advised"
