"""Holds the Lease that says which of several actuators acts in a cluster."""

import os
import secrets
import socket
import threading
import time
from datetime import datetime, timezone

from placement.kube.answers import Answer, Verdict
from placement.kube.door import ABSENT, Kube
from placement.kube.tenure import RENEW_S, Tenure, holder_of
from schemas.base import Event


class Turn:
    """Renews the Lease in a thread, and says whose turn it is."""

    def __init__(self, door: Kube, namespace: str) -> None:
        who = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._door = door
        self._tenure = Tenure(who, door.owner, namespace)
        self._holder = ""
        self._trouble = ""
        self._busy = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def start(self) -> None:
        """Begin: take the Lease from whoever has it."""
        self._thread.start()

    @property
    def troubles(self) -> tuple[str, ...]:
        """Return what keeps us from knowing whose turn it is."""
        return (self._trouble,) if self._trouble else ()

    @property
    def others(self) -> bool:
        """Whether another acts, as far as is known."""
        return self._holder not in ("", self._tenure.who)

    def sure(self) -> bool:
        """Return whether the server says now that it is our turn; it is taken where it is free."""
        return self._look(renew=False)

    def news(self, now_ms: int) -> list[Event]:
        """Return that another has begun to act, or we have again, once."""
        return list(self._tenure.news(now_ms, self._holder))

    def close(self) -> None:
        """Renew no more, and let others have it at once; the door must still be open."""
        self._over.set()
        with self._busy:
            if not self._trouble and (now := self._door.get(self._tenure.key)).done:
                free = self._tenure.given_up(now.body)
                if free is not None:
                    self._door.apply(free, version=now.version, force=True)
        if self._thread.is_alive():
            self._thread.join()

    def _renew(self) -> None:
        while not self._over.is_set():
            self._look(renew=True)
            self._over.wait(RENEW_S)

    def _look(self, *, renew: bool) -> bool:
        with self._busy:
            if self._over.is_set():
                return False
            now = self._door.get(self._tenure.key)
            if not now.done and now.verdict is not Verdict.ABSENT:
                return self._failed(now)
            found = now.body if now.done else None
            self._holder, self._trouble = holder_of(found), ""
            if self._holder == self._tenure.who and not renew:
                return True
            wanted = self._tenure.claim(time.monotonic(), _at(), found)
            if wanted is None:
                return False
            said = self._door.apply(wanted, version=now.version or ABSENT, force=True)
            if said.done:
                self._tenure.took()
                self._holder = self._tenure.who
            elif said.verdict is not Verdict.CHANGED:
                return self._failed(said)
            return said.done

    def _failed(self, said: Answer) -> bool:
        self._trouble = said.message
        return False


def _at() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
