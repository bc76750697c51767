"""Which true classes, and which conditions, have series of their own: few, whatever comes.

Every class is a series, and so is every condition; their names come from outside. So many per
application and partition have a name; what comes beyond counts under `OTHER` until a named one was
not seen for long and makes room.
"""

from dataclasses import dataclass

OTHER = "(other)"
"""Takes the place of a class that has no name of its own."""
LONGEST = 100
"""Characters of the longest class that may have a name; the empty one has none.

As many as a condition may have (schemas.conditions).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassEntry:
    """A class or condition that has a name, and when (ms) it was last seen."""

    app: str
    label: str
    seen_ms: int


class Classes:
    """The named classes, or conditions: at most `each` per application, and `all_` together.

    One that was not seen for `ttl_ms` gives its place up when it is asked for.
    """

    def __init__(self, each: int, all_: int, ttl_ms: int) -> None:
        self._each = each
        self._all = all_
        self._ttl_ms = ttl_ms
        self._seen: dict[str, dict[str, int]] = {}
        self._count = 0

    def name(self, app: str, label: str, now_ms: int) -> str:
        """Return under which name a true label or a condition counts: its own or OTHER."""
        known = self._seen.get(app, {})
        if label not in known:
            if not 0 < len(label) <= LONGEST or not self._room(app, now_ms):
                return OTHER
            known = self._seen.setdefault(app, {})
            self._count += 1
        known[label] = now_ms
        return label

    def state(self) -> tuple[ClassEntry, ...]:
        """Return the named classes as state."""
        return tuple(
            ClassEntry(app=app, label=label, seen_ms=seen)
            for app, known in sorted(self._seen.items())
            for label, seen in sorted(known.items())
        )

    def take_over(self, entries: tuple[ClassEntry, ...]) -> None:
        """Take over what `state` returned."""
        self._seen = {}
        for entry in entries:
            self._seen.setdefault(entry.app, {})[entry.label] = entry.seen_ms
        self._count = len(entries)

    def _room(self, app: str, now_ms: int) -> bool:
        if self._fits(app):
            return True
        self._forget(now_ms)
        return self._fits(app)

    def _fits(self, app: str) -> bool:
        return self._count < self._all and len(self._seen.get(app, ())) < self._each

    def _forget(self, now_ms: int) -> None:
        fresh = {
            app: {label: seen for label, seen in known.items() if seen + self._ttl_ms > now_ms}
            for app, known in self._seen.items()
        }
        self._seen = {app: known for app, known in fresh.items() if known}
        self._count = sum(map(len, self._seen.values()))
