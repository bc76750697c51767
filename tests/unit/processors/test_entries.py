"""Numbers by the decoder's entries: known, unknown, and of a table that was filled anew."""

import numpy as np

from processors.entries import UNKNOWN, Entries

TABLE = 5 << 32


def test_what_was_noted_is_found_and_nothing_else() -> None:
    entries = Entries()
    asked = TABLE + np.array([0, 7, 3])

    assert entries.find(asked).tolist() == [UNKNOWN] * 3
    entries.note(asked, np.array([10, 11, 12]))

    assert entries.find(TABLE + np.array([3, 4, 5_000, 0])).tolist() == [12, UNKNOWN, UNKNOWN, 10]


def test_nothing_is_known_of_a_table_that_was_filled_anew() -> None:
    entries = Entries()
    entries.find(TABLE + np.arange(3))
    entries.note(TABLE + np.arange(3), np.arange(3))

    assert entries.find((6 << 32) + np.arange(3)).tolist() == [UNKNOWN] * 3
    assert entries.find(TABLE + np.arange(3)).tolist() == [UNKNOWN] * 3


def test_nothing_is_known_once_all_was_forgotten() -> None:
    entries = Entries()
    entries.find(np.arange(3))
    entries.note(np.arange(3), np.arange(3))

    entries.forget()

    assert entries.find(np.arange(3)).tolist() == [UNKNOWN] * 3
