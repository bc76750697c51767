"""An application process of tests: ready, or broken, or deaf to SIGTERM, or not live any more."""

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
    live = {"sulky": lambda: not Path(sys.argv[2]).exists()}.get(kind, lambda: True)
    with serving(port, ready=live, live=live):
        ended.wait()


if __name__ == "__main__":
    main()
