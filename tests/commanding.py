"""The command line in this process: what a user reads, without the second that Python starts in."""

import os
import subprocess
from collections.abc import Mapping

from typer.testing import CliRunner

from streams import cli
from streams.exits import explain
from streams.settings import CONFIG_VARIABLE
from workers import telemetry


def command(
    *arguments: str, environ: Mapping[str, str], lines: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Call `weir` with these arguments, WEIR_ variables and lines on stdin, as `main` does."""
    others: dict[str, str | None] = dict.fromkeys(
        name for name in os.environ if name.startswith("WEIR_")
    )
    before = dict(os.environ)
    done = CliRunner().invoke(cli.app, arguments, input=lines, env=others | dict(environ))
    os.environ.pop(CONFIG_VARIABLE, None)  # what `--config` says holds for the process
    os.environ.update(before)
    telemetry.configure("WARNING", json=False)  # commands set up logs to a stderr that is gone now
    code, said = done.exit_code, done.stderr
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, Exception)
        message, code = explain(done.exception)
        said += f"weir: {message}\n"
    return subprocess.CompletedProcess(["weir", *arguments], code, done.stdout, said)
