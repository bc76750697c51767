"""Give what failed beside other tests a second chance, alone: `python -m tests.again`.

Servers, brokers and stacks share the machine with everything else that runs, and some tests judge
what happens in time. Who fails alone as well has failed; who passes is named, for somebody to
look at. Where many failed, the machine is not to blame: then nothing is tried again.
"""

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
MOST = 8
"""More failures than this are not the machine's."""


def main() -> int:
    """Return 0 when all that failed last passes alone, 1 otherwise."""
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not 0 < len(failed) <= MOST:
        return 1
    print(f"\n{len(failed)} failed beside others; each is tried once more, alone:", flush=True)
    again = [name for name in failed if not passes(name)]
    for name in failed:
        print("FAILED twice:" if name in again else "UNSTEADY, passed alone:", name, flush=True)
    return 1 if again else 0


def passes(test: str) -> bool:
    """Run one test, or one file that could not be read, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", test]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
