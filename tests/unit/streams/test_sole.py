"""The lock of a folder's actuator, among real processes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.actuating.sole import Sole

HOLD = (
    "import sys, time; from pathlib import Path; from streams.actuating.sole import Sole; "
    "sole = Sole(Path(sys.argv[1])); print(sole.held(), flush=True); time.sleep(300)"
)


def test_who_comes_second_waits_and_knows_for_whom(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == b"True\n"
            second = Sole(folder)
            assert not second.held()
            assert second.holder == str(first.pid)
            first.send_signal(signal.SIGSTOP)
            assert not second.held(), "who stands still may go on"
        finally:
            first.kill()
    assert second.held()
    assert second.held()
    third = Sole(folder)
    assert not third.held()
    second.close()
    assert third.held()
    third.close()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Sole(tmp_path / "file").held()
