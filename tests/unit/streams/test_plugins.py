"""Plug-ins: an installed distribution names functions; what is wrong with one stops no other."""

import math
from pathlib import Path

import polars as pl
import pytest

from processors.defining.plugins import PluginFailed, broken_laws, called, name_objection
from streams.plugins.metrics import installed
from tests import distributions

MODULE = """
import polars

def outliers(rows: polars.DataFrame, threshold: float) -> float | None:
    middle = rows["value"].median()
    spread = (rows["value"] - middle).abs().median()
    return float(((rows["value"] - middle).abs() > threshold * spread).sum())

def fails(rows):
    return 1 / 0

def words(rows):
    return "many"

def leaves(rows):
    raise SystemExit(3)

def panics(rows):
    raise polars.exceptions.PanicException("out of bounds")

def large(rows):
    return 10**400

number = 3
"""
ENTRIES = """[weir.metrics]
outliers = sample_functions:outliers
fails = sample_functions:fails
words = sample_functions:words
leaves = sample_functions:leaves
panics = sample_functions:panics
large = sample_functions:large
avg = sample_functions:outliers
number = sample_functions:number
gone = sample_functions:gone
away = no_such_module_at_all:it
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution on the path, as an installer would have left it."""
    distributions.distribution(tmp_path, monkeypatch, "sample_functions", MODULE, ENTRIES)


def rows(*values: float) -> pl.DataFrame:
    return pl.DataFrame({"value": values})


@pytest.mark.usefixtures("distribution")
def test_functions_are_found_by_their_entry_points() -> None:
    found = installed()

    assert sorted(found) == ["fails", "large", "leaves", "outliers", "panics", "words"]
    assert found["outliers"].version == "1.2"
    assert called(found, "outliers", rows(1.0, 2.0, 3.0, 2.0, 99.0), (3.5,)) == 1.0


@pytest.mark.usefixtures("distribution")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fails", "ZeroDivisionError: division by zero"),
        ("words", "returned a str"),
        ("leaves", "SystemExit: 3"),
        ("panics", "PanicException: out of bounds"),
        ("large", "returned an int that is too large"),
    ],
)
def test_what_a_function_does_wrong_is_told(name: str, reason: str) -> None:
    with pytest.raises(PluginFailed, match=reason):
        called(installed(), name, rows(1.0), ())


def test_names_of_the_language_are_not_for_plug_ins() -> None:
    assert name_objection("outliers") == ""
    for name in ("count", "sqrt", "value", "window_s", "defined", "two words", "größe"):
        assert name_objection(name)


def test_an_author_can_hold_a_function_to_the_laws() -> None:
    seen: list[int] = []

    def counts(frame: pl.DataFrame) -> float:
        seen.append(frame.height)
        return float(len(seen))

    def grows(frame: pl.DataFrame) -> float:
        frame.insert_column(0, pl.Series("more", [0.0] * frame.height))
        return 1.0

    assert broken_laws(lambda frame: float(frame["value"].sum()), rows(1.0, 2.0)) == []
    assert "gave 1.0 and then 3.0" in broken_laws(counts, rows(1.0, 2.0))[0]
    assert broken_laws(grows, rows(1.0, 2.0)) == ["it changed the rows that it was given"]
    assert "returned a bool" in broken_laws(lambda _: True, rows(1.0))[0]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ((None, 9.0, 3.0, 9.0), ["the same rows gave None and then 3.0"]),
        ((3.0, 9.0, None, 9.0), ["the same rows gave 3.0 and then None"]),
        ((math.nan, 9.0, 3.0, 9.0), ["the same rows gave nan and then 3.0"]),
        ((math.nan, 9.0, math.nan, 9.0), []),
        ((None, 9.0, None, 9.0), []),
    ],
)
def test_the_same_rows_must_give_the_same(
    answers: tuple[float | None, ...], told: list[str]
) -> None:
    coming = iter(answers)

    assert broken_laws(lambda _: next(coming), rows(1.0)) == told


@pytest.mark.usefixtures("distribution")
def test_of_two_functions_of_one_name_one_is_told_of_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "other_functions-3.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: other-functions\nVersion: 3\n")
    (about / "entry_points.txt").write_text("[weir.metrics]\nwords = sample_functions:outliers\n")

    told = distributions.refusals(monkeypatch)
    assert installed()["words"].version == "3"
    assert "another distribution has a plug-in of this name" in "".join(told)
