"""The language of defined metrics: what it takes, and where it says that something is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.expressions.expression import (
    MOST_LEVELS,
    MOST_PARTS,
    MOST_STEPS,
    Library,
    check,
    compiled,
)
from processors.expressions.parse import DEEPEST, parse
from processors.expressions.tokens import MOST_CHARACTERS
from processors.expressions.tree import Mistake
from processors.expressions.typed import MOST_AGGREGATES
from tests.unit.processors.expressions_plain import texts


def refused(text: str, **world: object) -> tuple[str, str]:
    """Return what is said of a wrong expression, and the part of it that is marked."""
    told = check(text, **world)  # type: ignore[arg-type]  # plugins, definitions, name
    assert told is not None
    said, line, marks = told.split("\n")
    first, end = marks.index("^"), len(marks)
    return said, line[first:end]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("1 - 2 - count()", "(1 - 2) - count()"),
        ("1 + 2 * count()", "1 + (2 * count())"),
        ("-count() * 2", "(-count()) * 2"),
        (
            'count(where not metric == "a" or value > 1 and value < 2)',
            'count(where (not (metric == "a")) or ((value > 1) and (value < 2)))',
        ),
        ("1 if count() > 1 else 2 if count() > 2 else 3",
         "1 if count() > 1 else (2 if count() > 2 else 3)"),
        ("avg(value if value > 0 else 0 where value < 9)",
         "avg((value if (value > 0) else 0) where (value < 9))"),
        ("count(where metric not in ('a'))", 'count(where not (metric in ("a")))'),
        ("avg(\n value\n)", "avg(value)"),
        (r'count(where metric == "a\"b")', "count(where metric == 'a\"b')"),
    ],
)  # fmt: skip
def test_operators_bind_as_in_python(text: str, same: str) -> None:
    assert parse(text) == parse(same)


@pytest.mark.parametrize(
    ("text", "marked", "said"),
    [
        ("avg(valu)", "valu", "column 5: there is no column valu; did you mean value?"),
        ("avg(value", "", "column 10: the call of avg is closed by ), but there is the end"),
        ("value", "value", "put it into an aggregate, such as avg(value)"),
        ('1 if metric == "a" else 2', "metric", "count(where metric == "),
        ("avg(value) + value", "value", "mixes single rows with aggregates"),
        ("sum(avg(value))", "avg(value)", "avg stands inside sum"),
        ("avg(value where count() > 1)", "count()", "count stands inside avg"),
        ("1 + 1", "1 + 1", "the same of every window"),
        ("count() > 1", "count() > 1", "this is a boolean; write 1 if ... else 0"),
        ("first(service)", "first(service)", "this is a string"),
        ("avg(metric)", "metric", "avg takes a number, and this is a string"),
        ("sum(value > 1)", "value > 1", "ratio(...) or count(where ...)"),
        ("ratio(value)", "value", "ratio takes a boolean"),
        ("avg(value where value)", "value", "where takes a boolean"),
        ('count(metric == "a")', 'metric == "a"', "after where: count(where value > 0)"),
        ("quantile(value)", "quantile(value)", "quantile takes 2 arguments, not 1"),
        ("quantile(value, 95)", "95", "within 0 and 1"),
        ("quantile(value, value)", "value", "within 0 and 1"),
        ("median(value)", "median", "write quantile(x, 0.5)"),
        ("cuont()", "cuont", "did you mean count?"),
        ("value()", "value", "value is a column"),
        ("zzz()", "zzz", "known: count, rate, ratio"),
        ("abs(count() where value > 1)", "value > 1", "only aggregates have a filter"),
        ("sqrt(count(), 1)", "1", "sqrt takes 1 arguments, not 2"),
        ("count(where metric = 'a')", "=", "write == to compare"),
        ("count(where metric == error)", "error", "strings stand in quotes"),
        ("count(where value == 'a')", "value == 'a'", "a number is never equal to a string"),
        ("count(where metric in ('a', 1))", "1", "a string is looked for"),
        ("count(where 1 < value < 2)", "<", "write a < b and b < c"),
        ("count(where value > 1 && value < 2)", "&&", "write and"),
        ("count() ** 2", "**", "there are no powers"),
        ("count() % 2", "%", "a - floor(a / b) * b"),
        ("count(where metric == 'a)", "'a)", "not closed by '"),
        ("count() in [1]", "[", "round brackets"),
        ("coalesce(count(), null)", "null", "coalesce(a, b) gives b"),
        ("count(where True)", "True", "write true"),
        ("coalesce(count(), 'a')", "'a'", "coalesce takes a number, and this is a string"),
        ("count() count()", "count", "the expression ends here"),
        ("1 if count() > 1", "", "a if condition else b"),
        ("count() + 1e999", "1e999", "too large"),
        ("count() @ 2", "@", "'@' means nothing here"),
        ("__import__('os')", "__import__", "there is no function __import__"),
        ("count().real", ".", "means nothing here"),
        ("lambda: 1", ":", "means nothing here"),
        ("", "", "it is empty; write an aggregate"),
        ("first(first(value))", "first(value)", "first stands inside first"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, marked: str, said: str) -> None:
    told, part = refused(text)

    assert said in told
    assert part == marked


def test_the_place_in_a_text_of_several_lines() -> None:
    told = check('avg(value\n  where metri == "x")')

    assert told is not None
    assert told.split("\n")[0].startswith("line 2, column 9: there is no column metri")
    assert told.split("\n")[1:] == ['    where metri == "x")', "          ^^^^^"]


def test_a_long_line_is_shown_around_the_mistake() -> None:
    told, part = refused("count() + " * 30 + "valu")

    assert "nested" not in told
    assert part == "valu"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"count(where metric == '{'x' * MOST_CHARACTERS}')", f"at most {MOST_CHARACTERS} are"),
        ("(" * (DEEPEST + 1) + "count()" + ")" * (DEEPEST + 1), "nested deeper"),
        ("+".join(["count()"] * (DEEPEST + 1)), "nested deeper"),
        ("-" * (DEEPEST + 1) + "count()", "nested deeper"),
        ("not " * (DEEPEST + 1) + "count() > 1", "nested deeper"),
        ("1 if count() > 1 else " * (DEEPEST + 1) + "0", "nested deeper"),
        (
            "+".join(
                "(" + "+".join(f"sum(value + {i * 9 + j})" for j in range(9)) + ")"
                for i in range(8)
            ),
            f"more than {MOST_AGGREGATES} aggregates",
        ),
    ],
)
def test_what_is_too_large_is_refused(text: str, said: str) -> None:
    assert said in str(check(text))


def test_what_is_just_not_too_large_is_taken() -> None:
    for text in (
        "abs(" * (DEEPEST - 1) + "count()" + ")" * (DEEPEST - 1),
        "+".join(f"(coalesce(sum(value + {n}), 0) + 1)" for n in range(MOST_AGGREGATES // 2 + 1)),
        "(" * (DEEPEST - 1) + "count()" + ")" * (DEEPEST - 1),
        "+".join(["count()"] * DEEPEST),
        "-" * (DEEPEST - 1) + "count()",
    ):
        assert check(text) is None


def test_an_aggregate_that_stands_twice_is_computed_once() -> None:
    tree = compiled("sum(value) / count() + sum( value )")

    assert [call.name for call in tree.aggregates] == ["sum", "count"]


def test_numbers_and_booleans_are_not_the_same_literal() -> None:
    assert parse("coalesce(1, 1)") != parse("coalesce(true, true)")


def test_a_definition_may_refer_to_others() -> None:
    others = {
        "errors": 'count(where metric == "error" and value > 0)',
        "share": 'defined("errors") / count(where metric == "error")',
    }

    tree = compiled('1 - defined("share")', definitions=others)

    assert tree == compiled(f"1 - ({others['errors']}) / count(where metric == 'error')")


@pytest.mark.parametrize(
    ("text", "marked", "said"),
    [
        ('defined("eror")', '"eror"', "did you mean error?"),
        ("defined(1)", "defined(1)", 'the name of a definition: defined("name")'),
        ('sum(defined("error"))', 'defined("error")', "defined stands inside sum"),
        ('1 + defined("wrong")', 'defined("wrong")', '"wrong" is refused itself: there is no colu'),
        ('1 + defined("a")', 'defined("a")', '"a" is refused itself: "b" is refused itself: def'),
        ('defined("me")', 'defined("me")', "in a circle: me -> me"),
    ],
)
def test_wrong_references_are_told(text: str, marked: str, said: str) -> None:
    others = {
        "error": "count()",
        "wrong": "avg(valu)",
        "a": 'defined("b")',
        "b": 'defined("a")',
        "me": "count()",
    }

    told, part = refused(text, definitions=others, name="me")

    assert said in told
    assert part == marked


def test_circles_of_any_length_are_told() -> None:
    others = {f"d{number}": f'defined("d{(number + 1) % 5}")' for number in range(5)}

    assert "d0 -> d1 -> d2 -> d3 -> d4 -> d0" in str(
        check(others["d0"], definitions=others, name="d0")
    )


def test_references_that_multiply_are_refused_before_they_are_written_out() -> None:
    others = {"d0": "count()"} | {
        f"d{step}": "+".join([f'defined("d{step - 1}")'] * 30) for step in range(1, 10)
    }

    assert check(others["d2"], definitions=others) is None
    assert f"more than {MOST_PARTS} parts" in str(check(others["d3"], definitions=others))
    assert '"d8" is refused itself' in str(check(others["d9"], definitions=others))


def test_references_may_not_nest_deeper_than_can_be_computed() -> None:
    inner, deepest = "abs(" * 30 + "{}" + ")" * 30, MOST_LEVELS - 3 * 30
    others = {"d0": "-" * (deepest - 1) + "count()"}
    others |= {f"d{step}": inner.format(f'defined("d{step - 1}")') for step in (1, 2, 3)}

    assert check(others["d3"], definitions=others) is None
    told, part = refused('-defined("d3")', definitions=others)
    assert f"nested deeper than {MOST_LEVELS} levels" in told
    assert part == '-defined("d3")'


def test_references_go_over_so_many_steps_and_no_more() -> None:
    others = {"d0": "count()"}
    others |= {f"d{step}": f'defined("d{step - 1}")' for step in range(1, 50)}
    known = Library((), others)
    known.named("d5")

    for library in (known, Library((), others)):
        assert library.named(f"d{MOST_STEPS}").steps == MOST_STEPS
        with pytest.raises(Mistake, match=f"more than {MOST_STEPS} steps"):
            library.named(f"d{MOST_STEPS + 1}")
        with pytest.raises(Mistake, match=f"more than {MOST_STEPS} steps"):
            library.named("d49")


def test_plug_ins_take_literals_and_a_filter() -> None:
    world = {"plugins": ("outliers",)}

    assert check('outliers(3, "mad" where metric == "x") / count()', plugins=("outliers",)) is None
    assert compiled("outliers()", ("outliers",)).plugins == {"outliers"}
    assert "did you mean outliers?" in refused("outlier()", **world)[0]
    assert refused("outliers(value)", **world)[1] == "value"
    assert refused("sum(outliers())", **world)[1] == "outliers()"


@given(st.text(max_size=80))
def test_any_text_is_taken_or_refused(text: str) -> None:
    told = check(text)

    assert told is None or "^" in told


@given(st.lists(st.sampled_from(
    ["avg", "value", "(", ")", "where", "==", '"a"', "1", "if", "else", "not", "in", "and", "-",
     ",", "count", "metric", "defined", "+", "<", "true"]), max_size=20).map(" ".join))  # fmt: skip
def test_any_row_of_words_is_taken_or_refused(text: str) -> None:
    told = check(text)

    assert told is None or "^" in told


@given(texts())
def test_generated_expressions_are_taken(text: str) -> None:
    try:
        compiled(text)
    except Mistake as mistake:
        pytest.fail(mistake.told(text))
