"""`weir silences`: verdicts that are not told on for a while."""

from typing import Annotated, Any

import typer

from streams.commands.nouns import AsJson, add_looking, check_owner, given, opened, send_changed

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("silence", "covers", "state", "reason", "owner")
_SCOPE = ("app", "stage", "service", "instance", "node", "rule", "tier")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Its name.")],
    *,
    reason: Annotated[str, typer.Option(help="Why.")],
    lasting: Annotated[str, typer.Option("--for", help="How long: 30m, 2h.")] = "1h",
    begin: Annotated[str, typer.Option("--in", help="It begins after so long.")] = "0s",
    of: Annotated[str | None, typer.Option("--app", help="Of one application.")] = None,
    stage: Annotated[str | None, typer.Option(help="Of one stage.")] = None,
    service: Annotated[str | None, typer.Option(help="Of one service.")] = None,
    instance: Annotated[str | None, typer.Option(help="Of one instance.")] = None,
    node: Annotated[str | None, typer.Option(help="Of one node.")] = None,
    rule: Annotated[str | None, typer.Option(help="Of one rule or detector.")] = None,
    tier: Annotated[str | None, typer.Option(help="rules, anomaly or diagnosis.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let verdicts be judged and stored, but not told on; one still raised at the end is told then.

    Example: weir silences add upkeep --node edge-3 --for 2h --reason 'new disk'
    """
    from schemas.quality import SilenceDefined
    from streams.commands.output import show_outcome
    from streams.definitions import KINDS, others
    from streams.forms import silences
    from workers.clock import wall_ms

    scope = given(
        app=of, stage=stage, service=service, instance=instance, node=node, rule=rule, tier=tier
    )
    with opened() as entries:
        by = owner or entries.settings.identity.user or ""
        wanted = silences.made(name, scope, lasting, begin, reason, by, wall_ms())
        known = entries.catalogue(*KINDS)
        silences.check_name(name, others(known, [k for k in KINDS if k is not SilenceDefined]))
        if name in known.of(SilenceDefined):
            check_owner(entries, "silence", name, known.of(SilenceDefined)[name].owner, by)
        send_changed(entries, [wanted])
    outcome = {"name": name, "starts_at": wanted.starts_at, "ends_at": wanted.ends_at}
    show_outcome(outcome, f"silence {name} for {lasting}: {reason}", as_json=as_json)


@app.command()
def end(name: Annotated[str, typer.Argument(help="Its name.")], *, as_json: AsJson = False) -> None:
    """End a silence now; what is still raised is told within seconds."""
    from schemas.quality import SilenceDefined
    from streams.commands.output import show_outcome
    from streams.forms import silences
    from streams.registration import unknown
    from workers.clock import wall_ms

    with opened() as entries:
        known = entries.of(SilenceDefined)
        if name not in known:
            raise unknown("silence", name, known)
        check_owner(entries, "silence", name, known[name].owner)
        now_ms = wall_ms()
        ended = silences.ended(known[name], now_ms)
        if ended is not known[name]:
            send_changed(entries, [ended])
    told = f"silence {name} is over" if ended is known[name] else f"ended silence {name}"
    show_outcome({"name": name, "ends_at": ended.ends_at}, told, as_json=as_json)


def _row(silence: Any, now_ms: int) -> tuple[Any, ...]:
    from streams.commands.output import since

    covers = [f"{name}={value}" for name in _SCOPE if (value := getattr(silence, name))]
    if silence.ends_at <= now_ms:
        state = f"over for {since(silence.ends_at, now_ms)}"
    elif silence.starts_at > now_ms:
        state = f"begins in {since(now_ms, silence.starts_at)}"
    else:
        state = f"in force for {since(now_ms, silence.ends_at)} more"
    return (silence.name, " ".join(covers) or "everything", state, silence.reason, silence.owner)


add_looking(app, "SilenceDefined", "silence", COLUMNS, _row)
