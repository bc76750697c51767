"""`weir bench quality`: what it reads, what it scores, and what it reports."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from processors.anomalies.detectors import WeirJudge
from streams.bench import quality, quality_drift
from streams.bench.quality_folder import read
from streams.bench.quality_series import corpus
from streams.cli import app
from streams.commands import bench_quality
from streams.errors import SeriesError
from workers import telemetry

NAB = Path(__file__).parents[4] / "shared" / "data" / "nab"


def folder(path: Path) -> Path:
    """Write a folder with one series of 1,000 rows and a spike in its window."""
    dice = np.random.default_rng(3)
    values = dice.normal(10.0, 1.0, 1_000)
    values[700:705] += 100.0
    rows = [f"2014-02-{1 + n // 288:02} {n // 12 % 24:02}:{n % 12 * 5:02}:00" for n in range(1_000)]
    lines = [f"{at},{value}" for at, value in zip(rows, values, strict=True)]
    (path / "some").mkdir()
    (path / "some" / "load.csv").write_text("\n".join(["timestamp,value", *lines]), "utf-8")
    windows = {"some/load.csv": [[f"{rows[680]}.000000", f"{rows[720]}.000000"]]}
    (path / "windows.json").write_text(json.dumps(windows), "utf-8")
    return path


def test_another_folder_of_the_same_form_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loud(*_: object, **__: object) -> dict[str, None]:
        telemetry.logger("a.host").info("host.restored")
        return {}

    monkeypatch.setattr(quality_drift, "measure", loud)
    arguments = ["bench", "quality", "--json", "--generated", "1", "--incidents", "0"]
    arguments += ["--nab", str(folder(tmp_path)), "--no-hosted", "--drifts", "0"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["nab"]["series"], found["nab"]["windows"]) == (1, 1)
    assert found["nab"]["standard"] > 80.0
    assert {"standard", "low_fp", "low_fn"} < found["nab"]["default"].keys()
    assert found["generated"]["series"] == 1
    assert found["anomaly_points_per_s"] > 0
    assert (found["rules_per_s"] > 0, found["rules_hosted_per_s"]) == (True, None)


def test_without_any_window_there_is_no_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "windows.json").write_text("{}", "utf-8")
    scored = quality.nab(WeirJudge(), read(tmp_path))
    json.dumps(scored, allow_nan=False)
    assert (scored["standard"], scored["default"]["low_fn"]) == (None, None)
    rates = {"anomaly_points_per_s": 1, "anomaly_detector_points_per_s": 1}
    bench_quality._show(
        {"nab": scored, "generated": None, "root_cause": None, **rates}, as_json=False
    )
    assert "none" in capsys.readouterr().out


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "quality", "--nab", str(tmp_path)])
    assert done.exit_code == 2
    with pytest.raises(SeriesError, match=r"windows\.json"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2014-02-01 00:00:00,many", "line 2"),
        ("soon,1", "line 2"),
        ("2014-02-01 00:00:00", "line 2"),
        (f'"{"1" * 200_000}', "line 2: field larger than field limit"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(f"timestamp,value\n{line}\n", "utf-8")
    (tmp_path / "windows.json").write_text('{"a.csv": []}', "utf-8")
    with pytest.raises(SeriesError, match=said):
        read(tmp_path)


def test_a_window_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("timestamp,value\n2014-02-01 00:00:00,1\n", "utf-8")
    window = ["2015-02-01 00:00:00", "2015-02-01 01:00:00"]
    (tmp_path / "windows.json").write_text(json.dumps({"a.csv": [window]}), "utf-8")
    with pytest.raises(SeriesError, match="has no row"):
        read(tmp_path)


def test_generated_series_follow_from_their_seed() -> None:
    one, again, other = (corpus(seed, 3, rows=1_000) for seed in (1, 1, 2))
    assert all(np.array_equal(a.values, b.values) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0].values, other[0].values)
    assert all(np.isfinite(s.values).all() and len(s.values) == 1_000 for s in one)


def test_the_default_is_far_better_than_chance_on_generated_series() -> None:
    found = quality.nab(WeirJudge(), corpus(11, 20))
    assert found["standard"] > 50.0
    assert found["default"]["standard"] > 45.0


def test_the_real_series_are_read() -> None:
    if not NAB.is_dir():
        pytest.skip(f"{NAB} is not there")
    series = read(NAB)
    assert (len(series), sum(len(one.windows) for one in series)) == (17, 30)
    assert sum(len(one.values) for one in series) == 67_740
