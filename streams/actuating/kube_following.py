"""Follows what a cluster has: per kind and namespace a thread that lists, watches, and resumes.

A watch that ends is taken up at the last version; one that the server no longer remembers (410)
begins with a new list; a server that is away or busy is asked again with growing delays.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from placement.kube.answers import Answer, Verdict
from placement.kube.backoff import Backoff
from placement.kube.kinds import KINDS, Key, Manifest, key_of
from placement.kube.view import Observed, View, by_service
from streams.errors import HostingError

if TYPE_CHECKING:
    from placement.kube.door import Kube

_JOIN_S = 2.0
Keep = Callable[[Manifest], Manifest]


@dataclass(frozen=True, slots=True)
class Followed:
    """A collection to follow; `keep` returns what is kept of each object."""

    kind: str
    namespace: str = ""
    selector: str = ""
    keep: Keep | None = None


def without_managers(body: Manifest) -> Manifest:
    """Return an object without the list of who owns which field, often its largest part."""
    meta = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": meta}


class Following:
    """What a cluster has, kept up to date by threads; a value at any time by `observed`."""

    def __init__(
        self,
        door: "Kube",
        followed: Sequence[Followed],
        changed: Callable[[], None],
        group_of: Callable[[Manifest], str] = by_service,
        backoff: Backoff | None = None,
    ) -> None:
        """Prepare; `changed` is called, by any thread, when something has."""
        self._door = door
        self._changed = changed
        self._backoff = backoff or Backoff(first_s=0.2, longest_s=15.0)
        self._lock = threading.Lock()
        self._view = View(group_of)
        self._listed: set[Followed] = set()
        self._followed = tuple(followed)
        self._troubles: dict[Followed, str] = {}
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(each,), name=f"watch-{each.kind}")
            for each in followed
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def observed(self) -> Observed:
        """Return what is known now. Raises HostingError when a thread has ended by itself.

        Who goes on without its news would take what is old for what is.
        """
        dead = [t.name for t in self._threads if t.ident is not None and not t.is_alive()]
        if dead and not self._over.is_set():
            raise HostingError(f"{dead[0]} has ended: a defect; start again")
        with self._lock:
            troubles = tuple(dict.fromkeys(self._troubles.values()))
            complete = len(self._listed) == len(self._followed)
            return Observed(self._view.groups(), complete, troubles)

    def hear(self, body: Manifest) -> None:
        """Take note of what a server has answered, before a watch tells it."""
        with self._lock:
            self._view.put(without_managers(body))

    def lose(self, key: Key) -> None:
        """Take note that an object was deleted."""
        with self._lock:
            self._view.drop(key)

    def close(self) -> None:
        """Stop following; the door is to be closed first, which ends its watches."""
        self._over.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_JOIN_S)

    def _follow(self, followed: Followed) -> None:
        version, failures = "", 0
        while not self._over.is_set():
            if not version:
                said = self._list(followed)
                version = said.version if said.done else ""
            else:
                version, said = self._watch(followed, version)
            failures = 0 if said.done or said.verdict is Verdict.EXPIRED else failures + 1
            self._note(followed, said)
            if failures:
                chance = random.random()  # noqa: S311  # jitter guards nothing
                self._over.wait(self._backoff.delay_s(failures, chance, said.retry_after_s))

    def _list(self, followed: Followed) -> Answer:
        said = self._door.listed(followed.kind, followed.namespace, followed.selector)
        if said.done:
            api = KINDS[followed.kind].api
            whole = ({**body, "kind": followed.kind, "apiVersion": api} for body in _items(said))
            bodies = [_kept(followed, body) for body in whole]
            with self._lock:
                self._view.replace(followed.kind, followed.namespace, bodies)
                self._listed.add(followed)
            self._changed()
        return said

    def _watch(self, followed: Followed, version: str) -> tuple[str, Answer]:
        """Return where to go on, empty for a new list, and why the watch has ended."""
        said = Answer(Verdict.DONE)
        changes = self._door.watch(followed.kind, followed.namespace, followed.selector, version)
        for change in changes:
            if change.kind == "ENDED":
                said = change.answer or said
                break
            version = str(change.body["metadata"].get("resourceVersion", version))
            with self._lock:
                self._troubles.pop(followed, None)
                if change.kind == "BOOKMARK":
                    continue
                if change.kind == "DELETED":
                    new = self._view.drop(key_of(change.body))
                else:
                    new = self._view.put(_kept(followed, change.body))
            if new:
                self._changed()
        anew = said.verdict in (Verdict.EXPIRED, Verdict.UNKNOWN)  # a list renews credentials
        return ("" if anew else version), said

    def _note(self, followed: Followed, said: Answer) -> None:
        with self._lock:
            if said.done or said.verdict is Verdict.EXPIRED:
                self._troubles.pop(followed, None)
            else:
                self._troubles[followed] = said.message


def _items(said: Answer) -> Sequence[Mapping[str, Any]]:
    items: Sequence[Mapping[str, Any]] = said.body["items"]
    return items


def _kept(followed: Followed, body: Manifest) -> Manifest:
    slim = without_managers(body)
    return followed.keep(slim) if followed.keep else slim
