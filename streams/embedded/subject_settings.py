"""A registry's settings: compatibility levels and modes, of subjects and of all of them."""

from typing import Any

from schemas import evolution
from streams.embedded.versions import RegistryRefused, Write, setting

DEFAULT_COMPATIBILITY = "FULL_TRANSITIVE"
READWRITE, READONLY, IMPORT = MODES = ("READWRITE", "READONLY", "IMPORT")


class SubjectSettings:
    """What is set for subjects by name; the name of what holds for all is empty."""

    def __init__(self) -> None:
        self._levels: dict[str, str] = {}
        self._modes: dict[str, str] = {}

    def apply(self, kind: str, subject: str, value: dict[str, Any] | None) -> None:
        """Take in a record of type CONFIG or MODE."""
        if kind == "CONFIG":
            _put(self._levels, subject, value and value["compatibilityLevel"])
        elif kind == "MODE":
            _put(self._modes, subject, value and value["mode"])

    def compatibility(self, subject: str = "", *, inherited: bool = True) -> str:
        """Return the compatibility level in force; of all subjects when none is named.

        Raises RegistryRefused (40408) when the subject has none of its own and may not inherit.
        """
        if subject and subject not in self._levels and not inherited:
            raise RegistryRefused(
                40408, f"Subject '{subject}' does not have subject-level compatibility configured"
            )
        return self._levels.get(subject, self._levels.get("", DEFAULT_COMPATIBILITY))

    def set_compatibility(self, subject: str, level: str | None) -> tuple[Write, ...]:
        """Decide on a compatibility level; None takes the subject's own away.

        Raises RegistryRefused (40401 there is none to take away, 42203, 42205).
        """
        self.check_writable(subject)
        if level is not None and level not in evolution.MODES:
            known = ", ".join(evolution.MODES)
            raise RegistryRefused(42203, f"Invalid compatibility level {level!r}; one of {known}")
        if level is None and subject and subject not in self._levels:
            raise RegistryRefused(40401, f"Subject '{subject}' not found.")
        if self._levels.get(subject) == level:
            return ()
        return (setting("CONFIG", subject, "compatibilityLevel", level),)

    def mode(self, subject: str = "", *, inherited: bool = True) -> str:
        """Return whether a subject may be written: READWRITE, READONLY or IMPORT.

        Raises RegistryRefused (40409) when the subject has none of its own and may not inherit.
        """
        if subject and subject not in self._modes and not inherited:
            raise RegistryRefused(
                40409, f"Subject '{subject}' does not have subject-level mode configured"
            )
        return self._modes.get(subject, self._modes.get("", READWRITE))

    def set_mode(self, subject: str, mode: str | None) -> tuple[Write, ...]:
        """Decide on a mode; None takes the subject's own away.

        Raises RegistryRefused (40401 there is none to take away, 42204).
        """
        if mode is not None and mode not in MODES:
            raise RegistryRefused(42204, f"Invalid mode {mode!r}; one of {', '.join(MODES)}")
        if mode is None and subject and subject not in self._modes:
            raise RegistryRefused(40401, f"Subject '{subject}' not found.")
        return (setting("MODE", subject, "mode", mode),)

    def taken_away(self, subject: str) -> tuple[Write, ...]:
        """Return the tombstones of what is set for a subject."""
        kept = (("CONFIG", self._levels), ("MODE", self._modes))
        return tuple(setting(kind, subject, "", None) for kind, of in kept if subject in of)

    def check_writable(self, subject: str) -> None:
        """Raise RegistryRefused (42205) when a subject is read-only."""
        if self.mode(subject) == READONLY:
            raise RegistryRefused(42205, f"Subject {subject} is in read-only mode")

    def check_registering(self, subject: str, *, imported: bool) -> None:
        """Raise RegistryRefused (42205) when a schema, with an id or without, is not taken."""
        self.check_writable(subject)
        if imported and self.mode(subject) != IMPORT:
            raise RegistryRefused(42205, f"Subject {subject} is not in import mode")
        if not imported and self.mode(subject) != READWRITE:
            raise RegistryRefused(42205, f"Subject {subject} is not in read-write mode")


def _put(settings: dict[str, str], subject: str, value: Any) -> None:
    if value is None:
        settings.pop(subject, None)
    else:
        settings[subject] = str(value)
