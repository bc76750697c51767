"""Give what failed beside other tests a second chance, alone: `python -m tests.again`.

Servers, brokers and stacks share the machine with everything else that runs, and some tests judge
what happens in time. A file in which something fails alone as well has failed; one that passes is
named, for somebody to look at. Where many failed, the machine is not to blame: then nothing is
tried again.
"""

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
MOST = 8
"""More failures than this are not the machine's."""


def main() -> int:
    """Return 0 when the files of all that failed last pass alone, 1 otherwise."""
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not 0 < len(failed) <= MOST:
        return 1
    print(f"\n{len(failed)} failed beside others; their files are tried once more, alone.")
    steady = {file: passes(file) for file in dict.fromkeys(map(file_of, failed))}
    for test in failed:
        passed = steady[file_of(test)]
        print("UNSTEADY, passed alone:" if passed else "FAILED, alone as well:", test)
    return 0 if all(steady.values()) else 1


def file_of(test: str) -> str:
    """Return the file of a test by its id."""
    return test.partition("::")[0]


def passes(file: str) -> bool:
    """Run the tests of a file in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", file]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main())
