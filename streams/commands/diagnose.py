"""`weir diagnose`: why quality fell, the most plausible cause first."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, opened

if TYPE_CHECKING:
    from schemas.observing import QualityEvaluated
    from streams.diagnoses import Diagnosis

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("diagnosis", "app", "begun", "state", "severity", "cause", "name", "score", "told")
CAUSES = ("rank", "cause", "name", "score", "moved", "why")
Of = Annotated[str, typer.Option("--app", help="Of one application alone.")]


@app.callback()
def diagnose() -> None:
    """Why quality fell, the most plausible cause first."""


@app.command(name="list")
def list_(
    *,
    of: Of = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the spells in which something was wrong, newest last, each with its best cause."""
    from streams.commands.output import show_rows, since
    from streams.diagnoses import diagnoses
    from workers.clock import wall_ms

    with opened() as entries:
        found = diagnoses(entries, of)[-limit:]
    now = wall_ms()
    rows = []
    for one in found:
        best = one.newest.root_causes[0]
        begun = _begun(one.newest) if as_json else f"{since(_begun(one.newest), now)} ago"
        state = "lasts" if one.ended is None else "over"
        told = one.narrative.status if one.narrative is not None else ""
        cause = (best.kind, best.name, best.score)
        rows.append((one.newest.event_id, one.app, begun, state, one.newest.severity, *cause, told))
    show_rows(COLUMNS, rows, as_json=as_json)


@app.command()
def show(
    diagnosis: Annotated[
        str, typer.Argument(help="Its id, or how that begins; the newest when absent.")
    ] = "",
    *,
    of: Of = "",
    as_json: AsJson = False,
) -> None:
    """Show a diagnosis: ranked causes, why, the evidence, and the prose where there is some."""
    import json

    from streams.commands.output import show_rows
    from streams.diagnoses import chosen, diagnoses

    with opened() as entries:
        one, said = chosen(diagnoses(entries, of), diagnosis)
    if as_json:
        typer.echo(json.dumps(_plain(one, said), indent=2, ensure_ascii=False))
        return
    state = "lasts" if one.ended is None else "is over"
    typer.echo(f"{one.app}: a {said.severity} spell that {state}; diagnosis {said.event_id}")
    rows = [
        (rank, cause.kind, cause.name, cause.score, _after(cause.since, said), cause.why)
        for rank, cause in enumerate(said.root_causes, 1)
    ]
    show_rows(CAUSES, rows, as_json=False)
    for rank, cause in enumerate(said.root_causes, 1):
        if cause.evidence:
            typer.echo(f"evidence for {rank}: {', '.join(cause.evidence)}")
    narrative = one.narrative_of(said)
    if narrative is not None:
        typer.echo(narrative.text or f"no prose: {narrative.status}: {narrative.message}")


def _begun(said: "QualityEvaluated") -> int:
    return said.window_end if said.since is None else said.since


def _after(at_ms: int | None, said: "QualityEvaluated") -> str:
    """Return when a cause moved, relative to the begin of the spell."""
    return "" if at_ms is None else f"{(at_ms - _begun(said)) / 1000:+.0f} s"


def _plain(one: "Diagnosis", said: "QualityEvaluated") -> dict[str, Any]:
    from schemas.introspect import to_plain

    narrative = one.narrative_of(said)
    return {
        "diagnosis": to_plain(type(said))(said),
        "ended": None if one.ended is None else one.ended.evaluated_at,
        "narrative": None if narrative is None else to_plain(type(narrative))(narrative),
    }
