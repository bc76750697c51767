"""Which questions run, so that one is not asked twice at a time, nor for nobody.

A statement that only reads is ended when its client has gone away.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streams.embedded import refusals
from streams.embedded.questions import Question
from streams.embedded.refusals import QueryRefused, refused
from streams.embedded.statements import READING

LOOK_S = 0.2
_LOG = logging.getLogger(__name__)
Gone = Callable[[], bool]


class Watch:
    """Follows questions while they run; `kill` ends the one with a mark."""

    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._running: dict[str, Gone] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._look, daemon=True).start()

    @contextmanager
    def following(self, question: Question, gone: Gone) -> Iterator[None]:
        """Follow a question while the block runs.

        Raises QueryRefused when one with the same mark runs.
        """
        reads = question.statement.verb in READING
        with self._changed:
            if question.mark in self._running:
                raise refused(
                    refusals.SAME_ID, f"Query with id = {question.mark} is already running"
                )
            self._running[question.mark] = gone if reads else bool
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                del self._running[question.mark]

    def _look(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._running))
                self._changed.wait(LOOK_S)
                left = [mark for mark, gone in self._running.items() if gone()]
            for mark in left:
                _LOG.info("query %s is ended: its client went away", mark)
                try:
                    self._kill(mark)
                except QueryRefused as refusal:
                    _LOG.warning("query %s cannot be ended: %s", mark, refusal)
