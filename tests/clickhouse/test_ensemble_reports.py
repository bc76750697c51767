"""`weir ensembles profiles --batches`: execution times by batch size, out of ClickHouse."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from streams import cli
from tests.clickhouse import world
from tests.clickhouse.messages import store
from workers.clickhouse import Database


def test_times_are_told_by_instance_variant_and_batch(
    commands: CliRunner, database: Database
) -> None:
    times = {1: (2.0, 4.0, 6.0), 8: (9.0,)}
    one = [
        replace(world.result(10 * size + n, "net", 5.0, ms), variant="int8", batch_size=size)  # type: ignore[type-var]  # a result
        for size, took in times.items()
        for n, ms in enumerate(took)
    ]
    store(database, *one, replace(one[0], app="another", event_id="x", request_id="x"))
    app = one[0].app  # type: ignore[attr-defined]  # a result
    done = commands.invoke(cli.app, ["ensembles", "profiles", app, "--batches", "--json"])
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert [
        (r["service"], r["variant"], r["batch"], r["results"], r["p50_ms"], r["p99_ms"])
        for r in found
    ] == [("net", "int8", 1, 3, 4.0, 5.96), ("net", "int8", 8, 1, 9.0, 9.0)]
    assert found[0]["mean_error_ms"] == pytest.approx(2 / 3**0.5)
    assert found[1]["mean_error_ms"] is None
    table = commands.invoke(cli.app, ["ensembles", "profiles", app, "--batches"]).stdout
    assert "mean_error_ms" in table
