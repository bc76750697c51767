"""A second chance is for what fails beside others, and for little of it."""

import json
from pathlib import Path

import pytest

from tests import again

STEADY, BAD = "test_steady.py", "test_bad.py"
"""A file that fails the first time only, and one that always does."""


@pytest.fixture
def last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the ids of what failed last are kept; tests are run in a folder of two files."""
    monkeypatch.chdir(tmp_path)
    Path(STEADY).write_text("def test_a(): pass\ndef test_b(): pass\n")
    Path(BAD).write_text("def test_a(): assert not 1\n")
    Path("pytest.ini").write_text("[pytest]\naddopts = -p no:kmock\n")
    again.FAILED.parent.mkdir(parents=True)
    return again.FAILED


@pytest.mark.parametrize(
    ("failed", "ends", "told"),
    [
        ([f"{STEADY}::test_a"], 0, f"UNSTEADY, passed alone: {STEADY}::test_a"),
        ([f"{BAD}::test_a"], 1, f"FAILED, alone as well: {BAD}::test_a"),
        ([f"{BAD}::test_a", f"{STEADY}::test_b"], 1, f"UNSTEADY, passed alone: {STEADY}::test_b"),
        ([f"{STEADY}::test_a[{n}]" for n in range(again.MOST + 1)], 1, ""),
        ([], 1, ""),
    ],
)
def test_who_fails_alone_as_well_has_failed(
    last: Path, capsys: pytest.CaptureFixture[str], failed: list[str], ends: int, told: str
) -> None:
    last.write_text(json.dumps(dict.fromkeys(failed, True)))
    assert again.main() == ends
    shown = capsys.readouterr().out
    assert told in shown if told else not shown
