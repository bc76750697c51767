"""Engines that are kept: whole or not at all, the newest few, and nothing left of the killed."""

import os
import time
from pathlib import Path

import pytest

from workers.runtimes.kept_engines import KEPT, LEFT_OVER_S, keep, kept


def test_an_engine_is_kept_under_its_key_and_is_one_as_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    assert kept(folder, "a") is None
    keep(folder, "a", b"plan of a")
    keep(folder, "b", b"")
    assert (kept(folder, "a"), kept(folder, "b"), kept(folder, "c")) == (b"plan of a", b"", None)
    assert sorted(path.read_bytes() for path in folder.iterdir()) == [b"", b"plan of a"]


@pytest.mark.parametrize("damage", [b"pla", b"", b"nalp"])
def test_a_damaged_engine_is_built_again(tmp_path: Path, damage: bytes) -> None:
    keep(tmp_path, "a", b"plan")
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert kept(tmp_path, "a") is None
    assert not path.exists()


def test_an_engine_that_cannot_be_kept_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("no folder")
    keep(tmp_path / "made", "a", b"plan")
    assert kept(tmp_path / "made", "a") is None


def test_those_that_were_used_longest_ago_go_and_so_does_what_the_killed_left(
    tmp_path: Path,
) -> None:
    now = time.time()
    for number in range(KEPT):
        keep(tmp_path, f"k{number:02}", bytes([number]))
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        os.utime(path, (now - 1000 + number,) * 2)
    assert kept(tmp_path, "k00") == bytes([0])
    for name, age_s in (("old", LEFT_OVER_S + 60), ("young", 60)):
        (tmp_path / f"{name}-9.new").write_bytes(b"half")
        os.utime(tmp_path / f"{name}-9.new", (now - age_s,) * 2)
    keep(tmp_path, "last", b"plan")
    assert kept(tmp_path, "k01") is None
    assert [kept(tmp_path, key) for key in ("k00", "k02", "last")] == [b"\0", b"\2", b"plan"]
    assert [path.name for path in tmp_path.glob("*.new")] == ["young-9.new"]
