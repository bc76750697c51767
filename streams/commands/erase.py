"""`weir erase`: forget what is kept of a person."""

from typing import Annotated

import typer

from streams.commands.nouns import AsJson, opened


def erase(
    user: Annotated[str, typer.Argument(help="The person, as requests name him.")],
    *,
    of: Annotated[str, typer.Option("--app", help="In this application alone.")] = "",
    before: Annotated[str, typer.Option(help="Instant in ISO 8601; now by default.")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    as_json: AsJson = False,
) -> None:
    """Erase the inputs and answers of a person: by an event that the sink and stores obey.

    In ClickHouse and in the payload store they go at once where these run; what Kafka holds goes
    with the retention of its topics (7 days), and is not stored again.
    """
    from streams.commands.output import show_outcome
    from streams.instants import instant_ms
    from streams.privacy import erasure
    from workers.clock import wall_ms
    from workers.payloads.store import store_of

    now_ms = wall_ms()
    event = erasure(user, of, instant_ms(before, now_ms) if before else now_ms, reason, now_ms)
    with opened() as entries:
        entries.send([event])
        store = store_of(entries.settings)
    gone = 0 if of else store.erase(user, event.before / 1000)
    outcome = {"user": user, "app": of, "event_id": event.event_id, "payloads": gone}
    told = f"erasure {event.event_id} is asked for; {gone} payloads are gone here"
    show_outcome(outcome, told, as_json=as_json)
