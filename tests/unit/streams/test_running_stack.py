"""What commands take over of the stack that runs in their data directory."""

import os
from pathlib import Path

import psutil
import pytest

from streams import running
from streams.running import State


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the data directory of a stack that runs: of this process."""
    state = State(
        pid=os.getpid(),
        started=psutil.Process().create_time(),
        ready=True,
        bootstrap="127.0.0.1:1",
        registry="http://127.0.0.1:2",
        clickhouse_host="127.0.0.1",
        clickhouse_port=3,
        limit_mib=64,
        data_dir=f"{tmp_path}",
    )
    running.write(state)
    return tmp_path


@pytest.mark.parametrize(
    ("said", "anonymous"), [({}, True), ({"WEIR_AUTHORITY__ANONYMOUS": "false"}, False)]
)
def test_beside_a_stack_one_needs_no_name_unless_one_is_asked_for(
    folder: Path, said: dict[str, str], anonymous: bool
) -> None:
    settings = running.settings_of_running(environ={"WEIR_DATA_DIR": f"{folder}"} | said)
    assert settings.authority.anonymous is anonymous
    assert (settings.kafka.bootstrap, settings.clickhouse.port) == ("127.0.0.1:1", 3)
