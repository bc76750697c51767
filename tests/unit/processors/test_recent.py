"""A table that forgets what was used longest ago."""

from processors.recent import Recent


def test_what_was_used_longest_ago_is_forgotten() -> None:
    table: Recent[str, int] = Recent(2)
    table.use("a", lambda: 1)
    table.use("b", lambda: 2)

    assert table.use("a", lambda: 9) == (1, None)
    assert table.use("c", lambda: 3) == (3, ("b", 2))
    assert list(table.items()) == [("a", 1), ("c", 3)]


def test_setting_a_value_is_a_use() -> None:
    table: Recent[str, int] = Recent(2)
    table.put("a", 1)
    table.put("b", 2)
    table.put("a", 3)
    table.drop("b")

    assert list(table.items()) == [("a", 3)]
    assert len(table) == 1
