"""The local actuator: worker processes as nodes of this machine. Returns values, logs nothing.

Call it from a thread that lives as long as the process (the main thread): workers ask the kernel
to end them with their parent (PR_SET_PDEATHSIG), and to the kernel the thread that started them is
the parent.
"""

import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from placement.fleet import (
    ForgetWorker,
    Instruction,
    KillWorker,
    Outcome,
    ProcessView,
    StartWorker,
    StopWorker,
)

Command = Callable[[str, str], Sequence[str]]
"""From node and worker to the command line of its process."""


class LocalActuator:
    """Starts and stops worker processes, each with its output in `<logs>/<worker>.log`.

    `environment` is the whole environment of the processes. They get a session of their own, so
    that a Ctrl-C in a terminal reaches the parent alone, which then stops them in order.
    """

    def __init__(self, command: Command, environment: Mapping[str, str], logs: Path) -> None:
        self._command = command
        self._environment = dict(environment)
        self._logs = logs
        self._processes: dict[tuple[str, str], subprocess.Popen[bytes]] = {}

    def processes(self) -> tuple[ProcessView, ...]:
        """Return the processes that were started and not yet forgotten."""
        return tuple(
            ProcessView(node=node, worker=worker, pid=process.pid, exit_code=process.poll())
            for (node, worker), process in self._processes.items()
        )

    def execute(self, instructions: Iterable[Instruction]) -> tuple[Outcome, ...]:
        """Carry out instructions in order; what cannot be done is an outcome with an error."""
        return tuple(self._do(instruction) for instruction in instructions)

    def close(self, grace_s: float = 5.0) -> tuple[ProcessView, ...]:
        """Ask all processes to end and kill those that do not in time; return the last view."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(grace_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        views = self.processes()
        self._processes.clear()
        return views

    def _do(self, instruction: Instruction) -> Outcome:
        place = (instruction.node, instruction.worker)
        if isinstance(instruction, StartWorker):
            return self._start(instruction)
        process = self._processes.get(place)
        if process is None:
            return Outcome(instruction, error="there is no such process")
        match instruction:
            case StopWorker():
                process.terminate()
            case KillWorker():
                process.kill()
            case ForgetWorker():
                if process.poll() is None:
                    return Outcome(instruction, process.pid, "the process still runs")
                del self._processes[place]
        return Outcome(instruction, process.pid)

    def _start(self, instruction: StartWorker) -> Outcome:
        place = (instruction.node, instruction.worker)
        if place in self._processes:
            return Outcome(instruction, self._processes[place].pid, "the worker runs already")
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            with (self._logs / f"{instruction.worker}.log").open("ab") as log:
                process = subprocess.Popen(
                    list(self._command(*place)),
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            return Outcome(instruction, error=str(error))
        self._processes[place] = process
        return Outcome(instruction, process.pid)
