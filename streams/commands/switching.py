"""What commands share that put a freeze, a pause or a drain into force, heed and end it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from streams.entries import Entries


def switched(
    entries: "Entries",
    scope: str,
    kind: str,
    target: str,
    told: str,
    reason: str,
    *,
    on: bool,
    as_json: bool,
) -> None:
    """Send the policy and the deed, unless it stands so already, and say what came of it."""
    from streams.commands.output import show_outcome

    changed = switch_over(entries, scope, kind, target, told, reason, on=on)
    outcome = {"scope": scope, "on": on, "changed": bool(changed)}
    show_outcome(outcome, told if changed else f"{told} already", as_json=as_json)


def switch_over(
    entries: "Entries", scope: str, kind: str, target: str, told: str, reason: str, *, on: bool
) -> str:
    """Send the policy and the deed; return the policy's event id, '' when it stands so already."""
    from schemas.authority import standing
    from schemas.registrations import PolicySelected
    from streams.authorizing import deed, switch
    from workers.clock import wall_ms

    known = entries.catalogue(PolicySelected)
    if (standing(known, scope) is not None) == on:
        return ""
    now_ms, by = wall_ms(), entries.settings.identity.user
    policy = switch(scope, on, reason, by, now_ms)
    done = deed(
        *(kind, target, "done", reason or told, now_ms),
        policy=scope,
        told={"by": by} if by else {},
        causes=(policy.event_id,),
    )
    entries.send([policy, done])
    return policy.event_id


def refuse_frozen(
    entries: "Entries",
    known: "Catalogue",
    kind: str,
    target: str,
    app: str,
    causes: tuple[str, ...] = (),
) -> None:
    """Refuse what a freeze forbids, by an event and RegistrationError."""
    from schemas.authority import FREEZE, REASON, frozen, parameter
    from streams.authorizing import deed
    from streams.errors import RegistrationError
    from workers.clock import wall_ms

    stop = frozen(known, app)
    if stop is None:
        return
    why = f"deeds are frozen: {parameter(stop, REASON) or stop.scope}"
    causes = (*causes, stop.event_id)
    entries.send([deed(kind, target, "refused", why, wall_ms(), policy=stop.scope, causes=causes)])
    of = "" if stop.scope == FREEZE else f" --app {app}"
    raise RegistrationError(f"{why}; `weir unfreeze{of}` ends it")
