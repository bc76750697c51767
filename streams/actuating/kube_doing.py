"""Carries out instructions at an API server: services side by side, objects one by one.

What is known to have changed since it was read is read again: a newer generation is left alone,
an older one, or what another hand has done, gives way. Fields that other managers own are taken
back, and told.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from placement.kube.answers import Answer, Verdict
from placement.kube.door import ABSENT, Kube
from placement.kube.kinds import Key, Manifest, key_of
from placement.kube.manifests import belonging, generation_of, owner_of
from placement.kube.words import Apply, Carried, Carry, Deed, Delete

_TRIES = 4

Hear = Callable[[Manifest], None]
Lose = Callable[[Key], None]


class Doing:
    """Does what is asked with several threads; to be used by one thread, and closed."""

    def __init__(self, door: Kube, hear: Hear, lose: Lose, threads: int, budget_s: float) -> None:
        """Prepare; `hear` and `lose` are told at once what was written and deleted.

        What has not begun `budget_s` seconds after it was asked for is given back undone, and so
        is what has not begun when the server did not answer another.
        """
        self._door = door
        self._hear = hear
        self._lose = lose
        self._budget_s = budget_s
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kube")

    def execute(self, carries: Sequence[Carry]) -> tuple[Carried, ...]:
        """Return what came of each instruction; what cannot be done is a deed that says why."""
        until = time.monotonic() + self._budget_s
        gone = threading.Event()
        return tuple(self._pool.map(lambda carry: self._carry(carry, until, gone), carries))

    def close(self) -> None:
        """Wait for what is under way, and do nothing more."""
        self._pool.shutdown(cancel_futures=True)

    def _carry(self, carry: Carry, until: float, gone: threading.Event) -> Carried:
        deeds: list[Deed] = []
        root = carry.root
        todos: list[Apply | Delete] = [*carry.applies, *carry.deletes]
        for todo in todos:
            if gone.is_set() or time.monotonic() > until:
                return Carried(carry, tuple(deeds), postponed=True)
            if isinstance(todo, Apply):
                whole = todo if root is None else self._belonging(todo, root)
                deed = self._apply(whole, key_of(root) if root is not None else None)
                root = root or deed.answer.body
            else:
                deed = self._delete(todo, carry.generation)
            deeds.append(deed)
            if not deed.done:
                if deed.answer.verdict is Verdict.AWAY:
                    gone.set()
                break
        return Carried(carry, tuple(deeds))

    def _belonging(self, todo: Apply, root: Manifest) -> Apply:
        if todo.key == key_of(root):
            return todo
        return replace(todo, manifest=belonging(todo.manifest, root))

    def _apply(self, todo: Apply, root: Key | None) -> Deed:
        version, uid = todo.version or ABSENT, todo.uid
        contested: tuple[tuple[str, str], ...] = ()
        for _ in range(_TRIES):
            forced = bool(contested)
            said = self._door.apply(todo.manifest, version=version, uid=uid, force=forced)
            if said.verdict is Verdict.OWNED and not contested:
                contested = said.contested
                continue
            if said.verdict is not Verdict.CHANGED:
                break
            now = self._door.get(todo.key)
            if now.verdict is Verdict.ABSENT and root not in (None, todo.key):
                now = self._door.get(root)  # who deleted it may have had a newer decision
                version, uid = ABSENT, ""
            elif now.verdict is Verdict.ABSENT:
                version, uid = ABSENT, ""
                continue
            elif now.done:
                version, uid = now.version, str(now.body["metadata"].get("uid", ""))
            if not now.done:
                return Deed(todo.key, now)
            if stopped := self._stops(todo.key, generation_of(todo.manifest), said, now):
                return stopped
        if said.done:
            self._hear(said.body)
        return Deed(todo.key, said, contested=contested)

    def _stops(self, key: Key, generation: int, said: Answer, now: Answer) -> Deed | None:
        """Return why what has changed meanwhile is to be left alone, if it is."""
        if owner_of(now.body) != self._door.owner:
            return Deed(key, said, foreign=True)
        if generation_of(now.body) <= generation:
            return None
        self._hear(now.body)
        return Deed(key, said, newer=generation_of(now.body))

    def _delete(self, todo: Delete, generation: int) -> Deed:
        said = self._door.delete(todo.key, uid=todo.uid, version=todo.version)
        for _ in range(_TRIES):
            if said.verdict is not Verdict.CHANGED:
                break
            now = self._door.get(todo.key)
            if now.verdict is Verdict.ABSENT:
                said = Answer(Verdict.DONE)
                break
            if not now.done:
                return Deed(todo.key, now, deleted=True)
            if now.body["metadata"].get("uid") != todo.uid:
                said = Answer(Verdict.DONE)  # that one is gone; this is another
                break
            if stopped := self._stops(todo.key, generation, said, now):
                return replace(stopped, deleted=True)
            said = self._door.delete(todo.key, uid=todo.uid, version=now.version)
        if said.done:
            self._lose(todo.key)
        return Deed(todo.key, said, deleted=True)
