"""Artifacts under attack and accident: names that lead away, lies, full disks, processes killed."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.unit.workers.artifact_server import ObjectStore, serving
from tests.unit.workers.probe_world import until
from workers.artifacts import remote
from workers.artifacts.obtaining import Artifacts
from workers.artifacts.store import Store
from workers.runtimes.errors import ArtifactMissing, ArtifactTooLarge
from workers.settings import ArtifactSettings

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    monkeypatch.setattr(remote, "FIRST_PAUSE_S", 0.001)
    with serving(ObjectStore({"/a.onnx": CONTENT, "/b.onnx": BIG})) as store:
        yield store


def artifacts(root: Path, limit: int = 1 << 20) -> Artifacts:
    return Artifacts(ArtifactSettings(), Store(root, limit))


def opened_below(folder: Path) -> list[str]:
    """Return what this process has open there; what others close meanwhile is passed over."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [path for path in found if path.startswith(f"{folder}/")]


@pytest.mark.parametrize("digest", ["../victim", "/etc/passwd", "", "0" * 63, "g" * 64, "0" * 65])
def test_a_digest_that_is_none_touches_no_file(tmp_path: Path, digest: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    with pytest.raises(ArtifactMissing, match="needs its SHA-256"):
        artifacts(tmp_path / "cache").obtain("http://127.0.0.1:9/a.onnx", digest)
    assert victim.read_bytes() == b"mine"


def test_nothing_is_written_to_where_a_link_leads(objects: ObjectStore, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    root = tmp_path / "cache"
    root.mkdir()
    (root / f"{DIGEST}.part").symlink_to(victim)
    (root / DIGEST).symlink_to(victim)
    held, _ = artifacts(root).obtain(f"{objects.url}/a.onnx", DIGEST)
    assert (held.path.read_bytes(), victim.read_bytes()) == (CONTENT, b"mine")
    assert not held.path.is_symlink()


@pytest.mark.parametrize("told", ["\xb2", "-5", "9" * 30, "9" * 5000, "nonsense"])
def test_a_length_that_is_no_number_is_none(
    objects: ObjectStore, tmp_path: Path, told: str
) -> None:
    objects.told = told
    held, _ = artifacts(tmp_path, 1 << 30).obtain(f"{objects.url}/a.onnx", DIGEST)
    assert held.path.read_bytes() == CONTENT


def test_a_length_beyond_all_bounds_is_refused_before_anything_is_read(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.told = str(1 << 40)
    with pytest.raises(ArtifactTooLarge, match=f"{1 << 40} bytes do not fit"):
        artifacts(tmp_path).obtain(f"{objects.url}/a.onnx", DIGEST)
    assert Store(tmp_path, 1).entries() == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_came_before_the_disk_was_full_is_kept_and_completed(
    objects: ObjectStore, tmp_path: Path
) -> None:
    own = artifacts(tmp_path)
    with largest_file(4096), pytest.raises(ArtifactMissing, match=r"too large.*ARTIFACTS__CACHE"):
        own.obtain(f"{objects.url}/a.onnx", DIGEST)
    assert (tmp_path / f"{DIGEST}.part").stat().st_size == 4096
    held, _ = own.obtain(f"{objects.url}/a.onnx", DIGEST)
    assert held.path.read_bytes() == CONTENT
    assert objects.seen[-1][2]["range"] == "bytes=4096-"


def test_what_cannot_be_read_in_the_cache_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / DIGEST).mkdir()
    with pytest.raises(ArtifactMissing):
        artifacts(tmp_path).obtain("http://127.0.0.1:9/a.onnx", DIGEST)
    assert opened_below(tmp_path) == []
    descriptor = os.open(tmp_path / DIGEST, os.O_RDONLY)
    assert opened_below(tmp_path) == [str(tmp_path / DIGEST)]
    os.close(descriptor)


def test_devices_and_pipes_are_no_models(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", str(tmp_path / "pipe"), str(tmp_path)):
        with pytest.raises(ArtifactMissing, match="it is no file"):
            artifacts(tmp_path / "cache").obtain(path, None)


FETCHER = """
import sys
from pathlib import Path
from workers.artifacts.obtaining import Artifacts
from workers.artifacts.store import Store
from workers.settings import ArtifactSettings
own = Artifacts(ArtifactSettings(), Store(Path(sys.argv[1]), 1 << 20))
held, digest = own.obtain(sys.argv[2], sys.argv[3])
print(digest, len(held.path.read_bytes()))
"""
BIG = CONTENT * 20
BIG_DIGEST = hashlib.sha256(BIG).hexdigest()
WHOLE = f"{BIG_DIGEST} {len(BIG)}"


def fetcher(root: Path, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", FETCHER, str(root), f"{url}/b.onnx", BIG_DIGEST],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.faults
def test_two_processes_fetch_the_same_once(objects: ObjectStore, tmp_path: Path) -> None:
    objects.stall = threading.Event()
    both = [fetcher(tmp_path, objects.url) for _ in range(2)]
    until(lambda: len(objects.seen) == 1, 20)
    objects.stall.set()
    told = [process.communicate(timeout=60)[0].splitlines()[-1] for process in both]
    assert told == [WHOLE] * 2
    assert len(objects.seen) == 1


@pytest.mark.faults
def test_what_a_killed_process_had_fetched_is_completed_by_another(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.stall = threading.Event()
    part = tmp_path / f"{BIG_DIGEST}.part"
    with fetcher(tmp_path, objects.url) as first:
        until(lambda: part.exists() and part.stat().st_size > 0, 20)
        waits = fetcher(tmp_path, objects.url)
        first.send_signal(signal.SIGKILL)
        assert first.wait(60) == -signal.SIGKILL
    begun = part.stat().st_size
    objects.stall.set()
    assert waits.communicate(timeout=60)[0].splitlines()[-1] == WHOLE
    assert objects.seen[1][2]["range"] == f"bytes={begun}-"
    assert not part.exists()
