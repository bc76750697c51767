"""`weir quality`: the verdicts that are raised now."""

from typing import Annotated, Any

import typer

from streams.commands.nouns import AsJson, opened

COLUMNS = (
    *("severity", "app", "where", "tier", "rule", "metric", "what", "observed", "expected"),
    *("since", "silenced_by", "spell"),
)


def quality(
    *,
    of: Annotated[str, typer.Option("--app", help="Of one application alone.")] = "",
    tier: Annotated[str, typer.Option(help="Of one tier: rules, anomaly or diagnosis.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what is raised now, the worst first, out of what weir.quality holds.

    Silenced verdicts are shown, too, with what silences them. Spells over time: `weir sql`, view
    verdict_spells.
    """
    from schemas.observing import QualityEvaluated
    from schemas.quality import SilenceDefined
    from streams.commands.output import show_rows
    from streams.raised import raised
    from workers.clock import wall_ms

    now_ms = wall_ms()
    with opened() as entries:
        events = entries.events("weir.quality", of)
        silences = entries.of(SilenceDefined)
    told = [one for one in events if isinstance(one, QualityEvaluated) and tier in ("", one.tier)]
    rows = [_row(one, now_ms, as_json=as_json) for one in raised(told, silences, now_ms)]
    show_rows(COLUMNS, rows, as_json=as_json)


def _row(one: Any, now_ms: int, *, as_json: bool) -> tuple[Any, ...]:
    from streams.commands.output import since

    event = one.last
    where = "/".join(
        text for text in (event.stage, event.service, event.instance, event.node) if text
    )
    finding = event.findings[0] if event.findings else None
    return (
        event.severity,
        event.app,
        where,
        event.tier,
        event.rule,
        event.metric,
        finding.what if finding else "",
        finding.observed if finding else None,
        finding.expected if finding else None,
        one.since if as_json else since(one.since, now_ms),
        one.silenced_by,
        event.spell if as_json else event.spell[:12],
    )
