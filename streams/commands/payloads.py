"""`weir payloads`: large inputs that stand apart from their events."""

import typer

from streams.commands.nouns import AsJson

app = typer.Typer(add_completion=False, no_args_is_help=True)
MIB = 1_048_576


@app.callback()
def payloads() -> None:
    """See what is stored of large inputs, and clear away."""


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show where payloads are, how many, how large and how old."""
    import time

    from streams.commands.output import show_outcome
    from streams.running import settings_of_running
    from workers.payloads.store import store_of

    store = store_of(settings_of_running())
    kept = store.kept()
    used = sum(one.size for one in kept)
    oldest = time.time() - kept[0].stored_at if kept else 0.0
    outcome = {
        "folder": str(store.root),
        "payloads": len(kept),
        "bytes": used,
        "most_bytes": store.limit,
        "oldest_s": round(oldest, 1),
        "kept_s": store.ttl_s,
    }
    told = (
        f"{len(kept)} payloads, {used / MIB:.1f} of {store.limit / MIB:.0f} MiB, the oldest of "
        f"{oldest:.0f} of {store.ttl_s:.0f} s, in {store.root}"
    )
    show_outcome(outcome, told, as_json=as_json)


@app.command()
def clean(*, as_json: AsJson = False) -> None:
    """Remove the payloads whose time is over, and the oldest while there are too many."""
    from dataclasses import asdict

    from streams.commands.output import show_outcome
    from streams.running import settings_of_running
    from workers.payloads.store import store_of

    gone = store_of(settings_of_running()).clean()
    told = f"{gone.expired} expired, {gone.evicted} for want of room: {gone.size} bytes"
    show_outcome(asdict(gone), told, as_json=as_json)
