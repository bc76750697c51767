"""What is shipped: the wheel has all that runs needs and nothing else; locks name no host."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGES, ROOT, sources

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_with_hashes_and_names_no_host(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert "://" not in text
    assert "--index" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert [b.splitlines()[0] for b in blocks if "==" not in b or "--hash=sha256:" not in b] == []


def test_the_runtime_lock_is_part_of_the_developers() -> None:
    pins = [
        {line.split(" ")[0] for line in lock.read_text("utf-8").splitlines() if "==" in line}
        for lock in (ROOT / "requirements" / "run.lock", ROOT / "requirements" / "dev.lock")
    ]
    assert pins[0] <= pins[1]


def test_there_is_no_other_lock() -> None:
    assert not (ROOT / "uv.lock").exists()
    assert [lock.name for lock in LOCKS] == ["bench.lock", "dev.lock", "edge.lock", "run.lock"]


def test_the_wheel_holds_the_packages_with_schemas_and_sql(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    data = [
        path
        for package in PACKAGES
        for pattern in ("*.avsc", "*.sql", "py.typed")
        for path in (ROOT / package).rglob(pattern)
    ]
    expected = {str(path.relative_to(ROOT)) for path in [*sources(), *data]}
    assert expected <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_licence_is_apache() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0" in text
