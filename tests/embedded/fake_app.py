"""An application process of tests: ready after a while, or ending at once, or deaf to SIGTERM."""

import signal
import sys
import threading
from pathlib import Path

from streams.health import serving


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[-1])
    ended = threading.Event()
    if kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if kind == "broken":
        sys.exit("it cannot work")
    if kind == "note":
        with Path(sys.argv[2]).open("a") as notes:
            notes.write("started\n")
    with serving(port, ready=lambda: True):
        ended.wait()


if __name__ == "__main__":
    main()
