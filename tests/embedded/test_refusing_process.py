"""A process that says that starting again does not help is not started for ever without a word."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.embedded.processes import free_port
from streams.embedded.supervised import LONGEST_PAUSE_S, Supervised
from streams.errors import StackError
from streams.exits import BAD_DATA, INTERNAL

_ENDS = "import sys; sys.stderr.write('the saved state of x/0 is not taken\\n'); sys.exit({})"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "x.log"


def ended(log: Path, code: int) -> Iterator[Supervised]:
    process = Supervised("x", [sys.executable, "-c", _ENDS.format(code)], log, free_port())
    process.launch()
    until = time.monotonic() + 20
    while process.alive:
        assert time.monotonic() < until
        time.sleep(0.02)
    yield process
    process.stop(1)


def test_one_that_was_never_ready_ends_the_stack_with_its_words(log: Path) -> None:
    for process in ended(log, BAD_DATA):
        with pytest.raises(StackError, match="x does not start: the saved state of x/0"):
            process.ready()


def test_one_that_was_ready_is_tried_seldom_and_shows_its_words(log: Path) -> None:
    for process in ended(log, BAD_DATA):
        process._was_ready = True
        process.revive()
        assert process._pause_s == LONGEST_PAUSE_S
        assert "the saved state of x/0 is not taken" in process.part().refusal


def test_any_other_end_is_mended_by_starting_again(log: Path) -> None:
    for process in ended(log, INTERNAL):
        assert process.ready() is False
        process.revive()
        assert process._pause_s < LONGEST_PAUSE_S
        assert process.part().refusal == ""
