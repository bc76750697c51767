"""Processes that shall be renewed, one file each: commands write them, the stack reads them."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from placement.local.processes import recorded
from streams.actuating.actuate import WISHES, WORKERS
from streams.embedded.supervised import Supervised
from streams.errors import StackError
from streams.running import Part, State

FOLDER = "restarts"
POLL_S = 0.1


class Renewals:
    """What was asked for in a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER
        self._wishes = data_dir / WISHES
        self._workers = data_dir / WORKERS

    def ask(self, name: str) -> None:
        """Ask for a process of the stack to be renewed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).touch()

    def begin(self, parts: Sequence[Supervised]) -> None:
        """Begin what was asked for; one that is renewed already is so only once."""
        for part in parts:
            wish = self._folder / part.name
            if wish.exists() and not part.renewing:
                wish.unlink(missing_ok=True)
                part.renew()

    def forget(self) -> None:
        """Drop what nobody has begun."""
        for wish in self._folder.glob("*"):
            if wish.is_file():
                wish.unlink(missing_ok=True)

    def restart(self, name: str, state: Callable[[], State | None], timeout_s: float) -> None:
        """Ask, and return when the successor is ready.

        `state` is asked how the stack is. Raises StackError when there is no such process, when
        the stack ends, or when nothing is ready in time.
        """
        before = _part(name, state())
        self.ask(name)
        deadline = time.monotonic() + timeout_s
        while True:
            time.sleep(POLL_S)
            now = _part(name, state())
            if now.renewals > before.renewals and now.ready:
                return
            if time.monotonic() > deadline:
                raise StackError(
                    f"{name} was not ready again within {timeout_s:.0f} s; see {now.log}"
                )

    def nodes(self) -> list[str]:
        """Return the nodes on which workers run."""
        return sorted({node for node, _ in recorded(self._workers)})

    def restart_node(self, node: str, timeout_s: float) -> None:
        """Have the worker of a node renewed, and return when its successor has taken over.

        Raises StackError when none runs there, or that does not happen in time.
        """
        before = self._on(node)
        if not before:
            raise StackError(f"no worker runs on {node!r}; known: {', '.join(self.nodes())}")
        self._wishes.mkdir(parents=True, exist_ok=True)
        (self._wishes / node).touch()
        deadline = time.monotonic() + timeout_s
        while not (now := self._on(node)) or now & before:
            if time.monotonic() > deadline:
                raise StackError(
                    f"the worker of {node} was not renewed within {timeout_s:.0f} s; "
                    f"see {node}-*.log in the logs"
                )
            time.sleep(POLL_S)

    def _on(self, node: str) -> set[str]:
        return {worker for at, worker in recorded(self._workers) if at == node}


def _part(name: str, state: State | None) -> Part:
    if state is None:
        raise StackError("the stack has ended")
    for part in state.parts:
        if part.name == name:
            return part
    known = ", ".join(part.name for part in state.parts)
    raise StackError(f"no process {name!r} runs here; known: {known}")
