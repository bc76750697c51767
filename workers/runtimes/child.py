"""The process of one isolated model: loads it, executes what it is sent, ends with its parent.

`python -m workers.runtimes.child LINK LIFE` where LINK is the socket to the parent and LIFE a
pipe that only the parent holds open. A thread waits for its end, because the other may hang.
"""

import os
import sys
import threading
from multiprocessing.connection import Connection

from workers.runtimes import errors
from workers.runtimes.errors import ExecutionFailed, RuntimeFailure
from workers.runtimes.isolation import FAILED, READY, Assignment
from workers.runtimes.known import known_runtimes


def main() -> None:
    """Serve the parent until it closes the link, or is gone."""
    link = Connection(int(sys.argv[1]))
    threading.Thread(target=_end_with_parent, args=(int(sys.argv[2]),), daemon=True).start()
    try:
        _serve(link)
    except (EOFError, ConnectionError):
        return


def _end_with_parent(life: int) -> None:
    os.read(life, 1)
    os._exit(0)


def _serve(link: "Connection") -> None:
    assignment: Assignment = link.recv()
    try:
        session = known_runtimes()[assignment.format].load(assignment.artifact, assignment.terms)
    except RuntimeFailure as error:
        link.send((FAILED, _told(error)))
        return
    link.send((READY, (session.signature, session.provider)))
    while True:
        inputs = link.recv()
        try:
            link.send((READY, session.run(inputs)))
        except ExecutionFailed as error:
            link.send((FAILED, _told(error)))


def _told(error: RuntimeFailure) -> tuple[str, str]:
    """Return an error's message and the name of the nearest class that the parent knows."""
    known = (kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
    return next(known), str(error)


if __name__ == "__main__":
    main()
