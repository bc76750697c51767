"""`weir doctor` where only a worker is installed: what is there is looked at."""

import json
import os
import subprocess
import sys
from pathlib import Path

ONLY = ("--only", "machine", "--only", "sink", "--only", "groups")
AWAY = ("polars", "clickhouse_connect", "faust", "river")


def test_what_is_installed_is_looked_at(tmp_path: Path) -> None:
    for name in AWAY:
        told = f"raise ModuleNotFoundError('No module named {name}', name={name!r})\n"
        (tmp_path / f"{name}.py").write_text(told, "utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "streams.cli", "doctor", "--json", "--watch", "0.5", *ONLY],
        env=os.environ
        | {
            "PYTHONPATH": str(tmp_path),
            "WEIR_DATA_DIR": str(tmp_path),
            "WEIR_KAFKA__BOOTSTRAP": "127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = {row["check"]: row for row in json.loads(ran.stdout)["findings"]}
    assert "machine" in found
    assert found["broker"]["status"] == "fail"
    assert "not installed" not in found["machine"]["what"]
    assert found["clickhouse"]["status"] == "skip"
    assert "clickhouse_connect is not installed" in found["clickhouse"]["what"]
    assert ran.returncode == 1
