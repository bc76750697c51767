"""The local actuator: worker processes as nodes of this machine. Returns values, logs nothing.

Call it from a thread that lives as long as the process (the main thread): workers that are not
recorded end with their parent. Those that are recorded in a folder outlive it: the next actuator
takes them over.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from placement.local.bounds import share_out
from placement.local.fleet import (
    BoundWorker,
    ForgetWorker,
    Instruction,
    KillWorker,
    Outcome,
    ProcessView,
    RelieveWorker,
    StartWorker,
    StopWorker,
)

Command = Callable[[str, str], Sequence[str]]
"""From node and worker to the command line of its process."""
SUCCEEDS = "--succeeds"
"""The argument that tells a worker to say nothing before it is ready."""
WATCH_S = 1.0
"""Memory of workers that are held is looked at so often: the kernel does not hold it."""
UNKNOWN = 255
"""The exit code of a process that is not a child: nobody can tell it."""
_MIB = 1 << 20
_PROC = Path("/proc")
_ROUNDS = 8


class Adopted:
    """A process that another actuator has started."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return None while it runs."""
        return None if alive(self._process) else UNKNOWN

    def send_signal(self, sig: int) -> None:
        """Send a signal; nothing happens when the process has ended."""
        try:
            self._process.send_signal(sig)
        except psutil.NoSuchProcess:
            return

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        try:
            self._process.wait(timeout)
        except psutil.TimeoutExpired as error:
            if alive(self._process):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0) from error
        return UNKNOWN


Process = subprocess.Popen[bytes] | Adopted


def alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that has ended and was not waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def resident_mib(pid: int) -> int:
    """Return the resident memory of a process and its descendants; 0 when it has ended."""
    pages = 0
    for each in _kin(pid):
        try:
            pages += int((_PROC / str(each) / "statm").read_text("ascii").split()[1])
        except (OSError, IndexError):  # it has ended meanwhile
            continue
    return round(pages * os.sysconf("SC_PAGE_SIZE") / _MIB)


def cores_here() -> list[int]:
    """Return the numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def hold(pid: int, cores: Sequence[int]) -> None:
    """Let all threads of a process and its descendants run on these cores alone.

    Threads that begin later are held as those are that begin them. Raises OSError.
    """
    held: set[int] = set()
    for _ in range(_ROUNDS):
        fresh = {thread for each in _kin(pid) for thread in _threads(each)} - held
        if not fresh:
            return
        for thread in fresh:
            try:
                os.sched_setaffinity(thread, cores)
            except ProcessLookupError:  # it has ended meanwhile
                continue
        held |= fresh


def _kin(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    for thread in _threads(pid):
        try:
            children = (_PROC / str(pid) / "task" / str(thread) / "children").read_text("ascii")
        except OSError:  # it has ended, or this kernel does not tell
            continue
        for child in children.split():
            yield from _kin(int(child))


def _threads(pid: int) -> list[int]:
    try:
        return [int(thread.name) for thread in (_PROC / str(pid) / "task").iterdir()]
    except OSError:
        return []


def recorded(folder: Path) -> dict[tuple[str, str], Adopted]:
    """Return the recorded worker processes that run, by node and worker; forget the others."""
    found: dict[tuple[str, str], Adopted] = {}
    for file in sorted(folder.glob("*.json")):
        try:
            record = json.loads(file.read_text("utf-8"))
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["created"]) < 1 and alive(process)
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            same = False
        if same:
            found[(record["node"], record["worker"])] = Adopted(process)
        else:
            file.unlink(missing_ok=True)
    return found


def end(processes: Iterable[Process], grace_s: float) -> None:
    """Ask processes to end (SIGTERM) and kill those that do not in time."""
    processes = list(processes)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()


class LocalActuator:
    """Starts and stops worker processes, each with its output in `<logs>/<worker>.log`.

    `environment` is the whole environment of the processes. They get a session of their own, so
    that a Ctrl-C in a terminal reaches the parent alone, which then stops them in order. With
    `records`, those recorded there that still run are taken over.
    """

    def __init__(
        self,
        command: Command,
        environment: Mapping[str, str],
        logs: Path,
        records: Path | None = None,
    ) -> None:
        self._command = command
        self._environment = dict(environment)
        self._logs = logs
        self._records = records
        self._processes: dict[tuple[str, str], Process] = {}
        self._cores: dict[tuple[str, str], list[int]] = {}
        self._memory: dict[tuple[str, str], int] = {}
        self._looked = 0.0
        if records is not None:
            self._processes |= recorded(records)

    def processes(self) -> tuple[ProcessView, ...]:
        """Return the processes that were started or taken over, and not yet forgotten."""
        if time.monotonic() - self._looked >= WATCH_S:
            self._looked = time.monotonic()
            self._memory = {one: resident_mib(self._processes[one].pid) for one in self._cores}
        return tuple(
            ProcessView(
                node=place[0],
                worker=place[1],
                pid=process.pid,
                exit_code=process.poll(),
                memory_mib=self._memory.get(place, 0),
            )
            for place, process in self._processes.items()
        )

    def execute(self, instructions: Iterable[Instruction]) -> tuple[Outcome, ...]:
        """Carry out instructions in order; what cannot be done is an outcome with an error."""
        return tuple(self._do(instruction) for instruction in instructions)

    def close(self, grace_s: float = 5.0) -> tuple[ProcessView, ...]:
        """Ask all processes to end and kill those that do not in time; return the last view."""
        end(self._processes.values(), grace_s)
        views = self.processes()
        for place in list(self._processes):
            self._forget(place)
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
                process.send_signal(signal.SIGTERM)
            case RelieveWorker():
                process.send_signal(signal.SIGHUP)
            case KillWorker():
                process.send_signal(signal.SIGKILL)
            case BoundWorker():
                return self._bound(instruction, process)
            case ForgetWorker():
                if process.poll() is None:
                    return Outcome(instruction, process.pid, "the process still runs")
                self._forget(place)
        return Outcome(instruction, process.pid)

    def _bound(self, instruction: BoundWorker, process: Process) -> Outcome:
        """Hold a process to as many cores as it may have; those are chosen that are held least."""
        place = (instruction.node, instruction.worker)
        others = [cores for other, cores in self._cores.items() if other != place]
        cores = share_out(instruction.bounds.cores, cores_here(), others)
        try:
            hold(process.pid, cores)
        except OSError as error:
            return Outcome(instruction, process.pid, f"its cores are not held: {error}")
        self._cores[place] = cores
        details = {
            "cores": ",".join(map(str, cores)),
            "memory_mib": str(instruction.bounds.memory_mib),
            "not_enforced": "cpu time within the cores; memory between two looks, "
            f"{WATCH_S:g} s apart",
        }
        return Outcome(instruction, process.pid, details=tuple(details.items()))

    def _start(self, instruction: StartWorker) -> Outcome:
        place = (instruction.node, instruction.worker)
        if place in self._processes:
            return Outcome(instruction, self._processes[place].pid, "the worker runs already")
        more = (SUCCEEDS,) if instruction.succeeds else ()
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            with (self._logs / f"{instruction.worker}.log").open("ab") as log:
                process = subprocess.Popen(
                    [*self._command(*place), *more],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            return Outcome(instruction, error=str(error))
        try:
            self._record(*place, process.pid)
        except OSError as error:  # nobody would find it again
            end([process], 0.0)
            return Outcome(instruction, error=str(error))
        self._processes[place] = process
        return Outcome(instruction, process.pid)

    def _record(self, node: str, worker: str, pid: int) -> None:
        if self._records is None:
            return
        self._records.mkdir(parents=True, exist_ok=True)
        created = psutil.Process(pid).create_time()
        record = {"node": node, "worker": worker, "pid": pid, "created": created}
        whole = self._records / f"{worker}.new"
        whole.write_text(json.dumps(record), "utf-8")
        whole.replace(self._records / f"{worker}.json")

    def _forget(self, place: tuple[str, str]) -> None:
        del self._processes[place]
        self._cores.pop(place, None)
        self._memory.pop(place, None)
        if self._records is not None:
            (self._records / f"{place[1]}.json").unlink(missing_ok=True)
