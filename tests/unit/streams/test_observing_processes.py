"""The processes of the bench of observing: the peers' environment, and what their runs told."""

import ast
import hashlib
import sys
from pathlib import Path

import pytest

from streams.bench.observing_bed import Bed
from streams.bench.observing_children import PEERS, PROGRAMS, NotMeasured, _run
from streams.bench.observing_environment import LOCK, interpreter
from streams.bench.observing_load import Load
from streams.bench.observing_machine import machine
from streams.errors import StackError
from tests.architecture.tree import PACKAGES
from workers.settings import Settings


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(Settings(), None, Load(1, 1, 0), tmp_path)  # type: ignore[arg-type]  # no codec used


def run(bed: Bed, program: str) -> dict[str, object]:
    return _run("peer", [sys.executable, "-S", "-c", program], bed, {})


def test_the_last_line_of_json_is_what_a_process_told(bed: Bed) -> None:
    told = run(bed, "print('{\"a\": 1}'); print('noise'); print('{\"a\": 2}'); print('noise')")
    assert told == {"a": 2}


def test_a_process_that_fails_is_told_with_the_end_of_its_log(bed: Bed) -> None:
    with pytest.raises(NotMeasured, match=r"peer ended with code 3: because"):
        run(bed, "import sys; print('because'); sys.exit(3)")
    with pytest.raises(NotMeasured, match=r"peer told nothing: noise"):
        run(bed, "print('noise')")


def test_every_peer_is_there_and_none_imports_weir() -> None:
    assert {path.name for path in PEERS.glob("*.py")} == {*PROGRAMS.values(), "stopwatch.py"}
    for path in PEERS.glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        froms = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        plain = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not {str(name).split(".")[0] for name in froms | plain} & set(PACKAGES)


def test_an_environment_is_made_once_for_one_lock(tmp_path: Path) -> None:
    lock, said = tmp_path / "bench.lock", list[str]()
    lock.write_text("some==1\n", "utf-8")
    name = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    place = tmp_path / f"bench-{name}"
    place.mkdir()
    (place / ".complete").touch()
    assert interpreter(said.append, lock, tmp_path) == place / "bin" / "python"
    assert said == []


def test_without_the_list_of_versions_the_peers_are_absent(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="come with a checkout"):
        interpreter(lambda _: None, tmp_path / "none.lock", tmp_path)
    assert LOCK.exists()


@pytest.mark.faults
def test_a_list_that_cannot_be_installed_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "bench.lock"
    lock.write_text("no-such-distribution-of-ours==1 --hash=sha256:00\n", "utf-8")
    for _ in range(2):
        with pytest.raises(StackError, match="the peers could not be installed"):
            interpreter(lambda _: None, lock, tmp_path)


def test_the_machine_is_told() -> None:
    told = machine()
    assert told["cores"] >= 1
    assert told["processor"]
    assert told["memory_gib"] > 0
