"""What a failing command says, and with which code it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from processors.errors import InvalidParameters
from schemas.errors import DecodeError, UnknownContract
from streams.errors import HostingError, RegistrationError, SettingsError, StackError
from streams.exits import explain
from tests.commanding import command
from workers.errors import KafkaUnavailable, RegistryUnavailable, SchemaRefused
from workers.runtimes.errors import BrokenModel


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("why"), 2),
        (HostingError("why"), 2),
        (InvalidParameters("why"), 2),
        (FileNotFoundError(2, "No such file", "why"), 2),
        (KafkaUnavailable("why"), 3),
        (RegistryUnavailable("why"), 3),
        (StackError("why"), 3),
        (ConnectionRefusedError("why"), 3),
        (TimeoutError("why"), 3),
        (RegistrationError("why"), 4),
        (SchemaRefused("why"), 4),
        (BrokenModel("why"), 4),
        (UnknownContract("why"), 4),
        (DecodeError("malformed", "why"), 4),
    ],
)
def test_known_errors_are_one_line(error: Exception, code: int) -> None:
    message, found = explain(error)
    assert "why" in message
    assert (found, "\n" in message) == (code, False)


def test_several_lines_become_one() -> None:
    assert explain(StackError("a\n  b\nc"))[0] == "a b c"


def test_a_place_that_is_pointed_at_stays_above_its_marks() -> None:
    told = "bad: column 5: there is no\ncolumn valu\n  avg(valu)\n      ^^^^"
    shown = "bad: column 5: there is no column valu\n  avg(valu)\n      ^^^^"
    assert explain(RegistrationError(told)) == (shown, 4)
    assert explain(StackError("a\n^ b"))[0] == "a ^ b"


def test_missing_extras_are_named() -> None:
    told, code = explain(ModuleNotFoundError("no", name="sklearn"))
    assert ("weir[demo]" in told, code) == (True, 3)
    told, code = explain(ModuleNotFoundError("no", name="chdb"))
    assert ("weir[embedded]" in told, code) == (True, 3)
    told, code = explain(ModuleNotFoundError("no", name="opentelemetry.proto.metrics"))
    assert ("weir[intake]" in told, code) == (True, 3)
    told, code = explain(ModuleNotFoundError("no", name="polars"))
    assert ("weir[stream]" in told, code) == (True, 3)
    told, code = explain(ModuleNotFoundError("no", name="onnxruntime"))
    assert ("weir[worker]" in told, code) == (True, 3)
    told, code = explain(ModuleNotFoundError("no", name="schemas.of.mine"))
    assert ("pip install" in told, code) == (False, 1)


def test_what_nobody_foresaw_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def caught() -> Exception:
        with pytest.raises(KeyError) as raised:
            {}["odd"]
        return raised.value

    monkeypatch.delenv("WEIR_LOG_LEVEL", raising=False)
    told, code = explain(caught())
    assert (code, "\n" in told) == (1, False)
    assert "test_exits.py" in told
    assert "KeyError: 'odd'" in told
    monkeypatch.setenv("WEIR_LOG_LEVEL", "debug")
    assert "Traceback" in explain(caught())[0]


def weir(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return command(*arguments, environ=environ)


def test_a_process_ends_with_the_code_and_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "produce", "weir.nothing"],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("weir: no topic 'weir.nothing'")
    assert done.stderr.count("\n") == 1


def test_config_prints_a_file_that_can_be_read_back(tmp_path: Path) -> None:
    node = {"name": "n", "cpu_milli": 1, "memory_mib": 2, "labels": {"a.b": "c"}}
    variables = {
        "WEIR_KAFKA__BOOTSTRAP": 'a"b\\:1',
        "WEIR_KAFKA__SASL_PASSWORD": "hidden",
        "WEIR_LOCAL__NODES": json.dumps([node]),
    }
    first = weir("config", **variables)
    assert first.returncode == 0, first.stderr
    assert "hidden" not in first.stdout
    file = tmp_path / "weir.toml"
    file.write_text(first.stdout)
    again = weir("--config", str(file), "config")
    assert again.stdout == first.stdout
    assert weir("config", "--json", WEIR_CONFIG=str(file)).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nonsense",), 2, "No such command"),
        (("confg",), 2, "Did you mean 'config'"),
        (("--config", "/none", "config"), 2, "weir: settings file /none"),
        (("status", "--data-dir", "/none"), 3, "nothing runs out of /none"),
        (("produce", "weir.nothing"), 4, "no topic 'weir.nothing'"),
        (("worker", "--node", "a b"), 2, "worker 'a b-"),
        (("up", "--kafka-port", "99999"), 2, "--kafka-port"),
        (("run", "derive", "--health-port", "99999"), 2, "--health-port"),
        (("schemas", "check", "--against", "nonsense"), 3, "registry at nonsense"),
    ],
)
def test_commands_end_with_their_codes(arguments: tuple[str, ...], code: int, told: str) -> None:
    done = weir(*arguments, COLUMNS="200")
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_of_an_unknown_order_says_which_are_known() -> None:
    done = weir("worker", "--node", "a", WEIR_WORKER__ORDER="best", COLUMNS="200")
    assert done.returncode == 2
    assert "weir: WEIR_WORKER__ORDER: order 'best' is unknown; known are fifo" in done.stderr


def test_help_keeps_its_words() -> None:
    """Rich takes words in brackets for markup and drops them."""
    for arguments in (("up",), ("apps", "register"), ("contracts", "register")):
        shown = weir(*arguments, "--help", COLUMNS="200", NO_COLOR="1").stdout
        assert "[]" not in shown
    assert "name: metric.statistic >= 0.9" in shown


def test_the_demonstration_ends_as_asked_by_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.cli", "demo", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={}) as demo:
        assert demo.stderr is not None
        assert "training" in demo.stderr.readline()
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(60) == 130
        assert "Traceback" not in demo.stderr.read()


def test_without_kafka_commands_say_so(tmp_path: Path) -> None:
    done = weir("apps", "list", WEIR_KAFKA__BOOTSTRAP="127.0.0.1:9", WEIR_DATA_DIR=str(tmp_path))
    assert done.returncode == 3
    assert done.stderr.startswith("weir: Kafka at 127.0.0.1:9")
    assert done.stderr.count("\n") == 1
