"""Connections of sessions: one each, kept between requests, until they expire."""

import threading
import time
from collections.abc import Callable
from typing import Any

from streams.embedded.refusals import SESSION_IS_LOCKED, SESSION_NOT_FOUND, refused

MAX_SESSIONS = 256
LONGEST_S = 3600
"""Longest time that a session may ask to be kept, s."""


class Session:
    """A connection that outlives a request, and the statements that shaped it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self.expires = 0.0
        self.shaped_by: list[str] = []

    def release(self, kept_s: float) -> None:
        """Let the next request have it, for so many seconds."""
        self.expires = time.monotonic() + kept_s
        self.lock.release()


class Sessions:
    """The sessions by name; safe to use from several threads."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._sessions: dict[str, Session] = {}
        self._guard = threading.Lock()

    def take(self, name: str, *, must_exist: bool) -> Session:
        """Return a session, locked until it is released.

        Raises QueryRefused when another request has it, or when it must exist and does not.
        """
        with self._guard:
            self._expire()
            session = self._sessions.get(name)
            if session is None and must_exist:
                raise refused(SESSION_NOT_FOUND, f"Session {name} not found")
            if session is None:
                session = self._sessions[name] = Session(self._connect())
            if not session.lock.acquire(blocking=False):
                raise refused(SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client")
            return session

    def end(self, name: str) -> None:
        """Close a session that nobody holds."""
        with self._guard:
            session = self._sessions.get(name)
            if session is not None and not session.lock.locked():
                self._sessions.pop(name).connection.close()

    def close(self) -> None:
        """Close every connection."""
        with self._guard:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

    def _expire(self) -> None:
        now = time.monotonic()
        by_age = sorted(self._sessions.items(), key=lambda item: item[1].expires)
        spare = len(by_age) - MAX_SESSIONS + 1
        for position, (name, session) in enumerate(by_age):
            if session.lock.locked() or (session.expires > now and position >= spare):
                continue
            self._sessions.pop(name).connection.close()
