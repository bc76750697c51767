"""A model in a process of its own, which is killed and replaced when it hangs or crashes.

A native call cannot be interrupted from outside, so the deadline is kept here: the process is
killed, the task fails with the reason, and a thread starts the next process while every other
model is served on. Until that one is ready tasks fail at once. Replacements wait longer and longer
while none of them succeeds with anything. An execution costs a way there and back between
processes, and copies of all that goes in or comes out.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from workers.runtimes import errors
from workers.runtimes.base import Array, Load, Signature
from workers.runtimes.errors import BrokenModel, ExecutionFailed, RuntimeFailure
from workers.runtimes.options import HOUR_MS
from workers.runtimes.resting import Resting
from workers.telemetry import logger

MODULE = "workers.runtimes.child"
READY, FAILED = "ready", "failed"
STARTING_MS = 30_000.0
"""A process may take so long to begin with, before its model is loaded."""
FIRST_REST_S, LONGEST_REST_S = 0.1, 600.0

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a process is to serve."""

    format: str
    artifact: Path | str
    terms: Load


class _Lost(Exception):
    """The process hung or ended; the message says which."""


class IsolatedSession:
    """A model that is executed in a process of its own.

    Making one loads it. Raises RuntimeFailure.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        try:
            self._child: _Child | None = _Child(assignment)
        except _Lost as error:
            raise BrokenModel(f"{assignment.artifact}: {error} while it was loaded") from error
        self._signature: Signature = self._child.signature
        self._provider: str = self._child.provider
        self._resting = Resting(FIRST_REST_S, LONGEST_REST_S)
        self._replacing = threading.Lock()

    @property
    def signature(self) -> Signature:
        """Return what it takes and gives."""
        return self._signature

    @property
    def provider(self) -> str:
        """Return the execution provider in force."""
        return self._provider

    @property
    def process(self) -> int | None:
        """Return the id of the process; None while it is being replaced."""
        child = self._child
        return None if child is None else child.id

    @property
    def trouble(self) -> str | None:
        """Return why its process is being replaced; None while there is one."""
        return self._resting.why if self._child is None else None

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute on one array per input, in the signature's order; returns one per output.

        Raises ExecutionFailed, also when the process hung, ended or is being replaced.
        """
        child = self._child
        if child is None:
            raise ExecutionFailed(f"its process is being replaced: {self._resting.why}")
        try:
            outputs: list[Array] = child.ask(list(inputs), self._assignment.terms.deadline_ms)
        except _Lost as error:
            self._replace(child, str(error))
            raise ExecutionFailed(f"{error}; its process is replaced") from error
        self._resting.succeeded()
        return outputs

    def _replace(self, lost: "_Child", trouble: str) -> None:
        """Have the next process started, after a rest that grows while nothing succeeds."""
        with self._replacing:
            if self._child is not lost:
                return
            rest_s = self._resting.failed(trouble, time.monotonic())
            self._child = None
        log.warning("runtime.lost", artifact=str(self._assignment.artifact), reason=trouble)
        thread = threading.Thread(
            target=_started_again, args=(weakref.ref(self), rest_s), name="replacing", daemon=True
        )
        thread.start()

    def resume(self) -> float:
        """Start a process, and return 0; or how long to rest when that failed too."""
        try:
            self._child = _Child(self._assignment)
        except (_Lost, RuntimeFailure) as error:
            return self._resting.failed(str(error), time.monotonic())
        return 0.0


def _started_again(session: "weakref.ref[IsolatedSession]", rest_s: float) -> None:
    """Start processes for a session until one is ready or nobody needs it any more."""
    while rest_s:
        time.sleep(rest_s)
        wanted = session()
        rest_s = 0.0 if wanted is None else wanted.resume()
        del wanted


class _Child:
    """One process, from its start to its end, with the last reference to it at the latest."""

    def __init__(self, assignment: Assignment) -> None:
        self._process, self._link, held = _launched()
        self._turn = threading.Lock()
        self.end = weakref.finalize(self, _end, self._process, self._link, held)
        load_ms = STARTING_MS + assignment.terms.load_ms
        try:
            self._patience(load_ms)
            self._send(_unhurried(assignment))
            self.signature, self.provider = self._answer(load_ms)
            self._patience(assignment.terms.deadline_ms)
        except BaseException:
            self.end()
            raise

    @property
    def id(self) -> int:
        """Return the process id."""
        return self._process.pid

    def ask(self, inputs: list[Array], deadline_ms: float) -> Any:
        """Return the outputs. Raises ExecutionFailed; _Lost when the process is of no more use."""
        with self._turn:
            try:
                self._send(inputs)
                return self._answer(deadline_ms)
            except _Lost:
                self.end()
                raise

    def _patience(self, milliseconds: float) -> None:
        """Let no single transfer wait for longer, either way."""
        whole, rest = divmod(milliseconds / 1000, 1)
        limit = struct.pack("ll", int(whole), int(rest * 1e6))
        with socket.socket(fileno=os.dup(self._link.fileno())) as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    def _send(self, message: Any) -> None:
        try:
            self._link.send(message)
        except BlockingIOError as error:
            raise _Lost("its process takes no inputs") from error
        except OSError as error:
            raise self._ended() from error

    def _answer(self, wait_ms: float) -> Any:
        """Return what the process gives. Raises what it raised; _Lost when it says nothing."""
        try:
            if not self._link.poll(wait_ms / 1000):
                raise _Lost(f"it gave no answer in {wait_ms:g} ms")
            state, value = self._link.recv()
        except BlockingIOError as error:
            raise _Lost("its process stopped in the middle of an answer") from error
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if state == FAILED:
            kind, told = value
            raise getattr(errors, kind)(told)
        return value

    def _ended(self) -> _Lost:
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return _Lost("its process closed the link")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _Lost(f"its process ended by {how}")


def _launched() -> "tuple[subprocess.Popen[bytes], Connection, int]":
    """Return a new process, the link to it, and what it lives on. Raises _Lost."""
    with ExitStack() as things:
        ours, theirs = (things.enter_context(end) for end in socket.socketpair())
        life, held = os.pipe()
        things.callback(os.close, life)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(theirs.fileno()), str(life)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), life),
                start_new_session=True,  # a Ctrl-C is for its parent, which ends it
            )
        except OSError as error:
            os.close(held)
            raise _Lost(f"no process could be started: {error}") from error
        return process, Connection(ours.detach()), held


def _unhurried(assignment: Assignment) -> Assignment:
    """Return the assignment without a deadline, which is kept on this side alone."""
    return replace(assignment, terms=replace(assignment.terms, deadline_ms=HOUR_MS))


def _end(process: "subprocess.Popen[bytes]", link: Connection, held: int) -> None:
    process.kill()
    process.wait()
    link.close()
    os.close(held)
