"""Several loops in one process: a thread each, ended together."""

import threading
from collections.abc import Callable, Mapping

Loop = Callable[[threading.Event], None]


class Together:
    """Runs loops, each until `stop`, which they are given, is set; when one fails, all end."""

    def __init__(self, loops: Mapping[str, Loop], stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()
        self._error: Exception | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=name)
            for name, loop in loops.items()
        ]

    def stop(self) -> None:
        """Ask all loops to end."""
        self._stop.set()

    def run(self) -> None:
        """Run until told to stop, or until a loop fails or ends; raise what it failed with."""
        for thread in self._threads:
            thread.start()
        self._stop.wait()
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _run(self, loop: Loop) -> None:
        try:
            loop(self._stop)
        except Exception as error:  # noqa: BLE001 - raised again by `run`, in the main thread
            self._error = self._error or error
        finally:
            self._stop.set()
