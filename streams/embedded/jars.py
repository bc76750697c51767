"""The jars of Apache Kafka: resolved once by Maven, held to recorded hashes, kept in a cache.

`python -m streams.embedded.jars` resolves what `kafka_server/pom.xml` names and records the
hashes in `kafka_server/jars.sha256`.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from streams.errors import StackError

SOURCE = Path(__file__).parent / "kafka_server"
LOCK = SOURCE / "jars.sha256"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_LIMIT_S = 600


def jars() -> Path:
    """Return the folder that holds the jars, after Maven has put them there the first time.

    It lies below $XDG_CACHE_HOME, or ~/.cache. Raises StackError where Maven is absent or fails,
    and for a jar that is not the one whose hash is recorded.
    """
    expected = LOCK.read_text("utf-8")
    name = hashlib.sha256(expected.encode()).hexdigest()[:16]
    place = _cache() / f"kafka-{name}"
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _fill(place, expected)
    return place


def needed(program: str) -> str:
    """Return the path of a program. Raises StackError where it is not installed."""
    found = shutil.which(program)
    if found is None:
        raise StackError(
            f"Apache Kafka needs `{program}`, which is not installed "
            "(on Debian: apt-get install openjdk-17-jre-headless maven)"
        )
    return found


def _fill(place: Path, expected: str) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as made:
        folder = Path(made) / "jars"
        _resolve(folder)
        found = _hashes(folder)
        if wrong := sorted(set(found.splitlines()) ^ set(expected.splitlines())):
            raise StackError(f"jars that Maven brought differ from {LOCK.name}: {wrong[0]}")
        os.replace(folder, place)


def _resolve(folder: Path) -> None:
    argv = [needed("mvn"), "-q", "-B", "-C", "-f", str(SOURCE / "pom.xml"), _PLUGIN]
    done = subprocess.run(
        [*argv, f"-DoutputDirectory={folder}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise StackError(f"Maven could not resolve Apache Kafka: {done.stdout.strip()[-600:]}")


def _hashes(folder: Path) -> str:
    lines = (
        f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n"
        for jar in sorted(folder.glob("*.jar"))
    )
    return "".join(lines)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "weir"


def _record() -> None:
    with tempfile.TemporaryDirectory() as made:
        _resolve(Path(made))
        LOCK.write_text(_hashes(Path(made)), "utf-8")


if __name__ == "__main__":
    _record()
