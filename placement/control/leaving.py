"""Make before break: which copies that leave must stay until others serve in their place. Pure."""

from collections.abc import Collection, Sequence

from schemas.decisions import Assignment


def must_stay(
    before: Sequence[Assignment],
    after: Sequence[Assignment],
    serving: Collection[str],
    min_available: int,
) -> tuple[Assignment, ...]:
    """Return those of `before` that are not in `after`, but are needed for now.

    `serving` are the instances that are ready. While fewer than `min_available` of `after` serve,
    as many as are lacking of those that serve and leave must stay, in order of their instances.
    """
    kept = {one.instance for one in after}
    lacking = min_available - len(kept & set(serving))
    leaving = sorted(
        (one for one in before if one.instance not in kept and one.instance in serving),
        key=lambda one: one.instance,
    )
    return tuple(leaving[: max(0, lacking)])
