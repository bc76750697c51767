"""Numbers of series: by frame, entry or key they are the same, and new when some were forgotten."""

import numpy as np
import polars as pl

from processors.observing.series import FIELDS, SeriesBook
from schemas.columns_block import varint

MINUTE = 60_000


def series(*services: str, entries: list[int] | None = None) -> pl.DataFrame:
    rows = [dict.fromkeys(FIELDS, "") | {"app": "a", "service": s} for s in services]
    keys = [
        b"".join(varint(len(row[name])) + row[name].encode() for name in FIELDS) for row in rows
    ]
    frame = pl.DataFrame(rows).with_columns(pl.Series("_key", keys, dtype=pl.Binary))
    return frame if entries is None else frame.with_columns(pl.Series("_entry", entries))


def services(book: SeriesBook, numbers: np.typing.NDArray[np.uint32]) -> list[str]:
    return [book.names(number)[2] for number in numbers.tolist()]


def test_a_frame_that_comes_again_is_numbered_anew_after_series_were_forgotten() -> None:
    book, frame = SeriesBook(), series("x", "y", entries=[7, 3])
    book.ids(series("gone"), 0)
    assert services(book, book.ids(frame, 0)) == ["x", "y"]
    assert book.sweep(0, MINUTE, [], 1) is None
    book.ids(frame, MINUTE)
    assert book.sweep(MINUTE, MINUTE, [], 1) is not None
    assert len(book) == 2
    assert services(book, book.ids(frame, MINUTE)) == ["x", "y"]


def test_a_frame_that_comes_again_keeps_its_series_known() -> None:
    book, frame = SeriesBook(), series("x", "y", entries=[0, 1])
    for minute in range(5):
        book.ids(frame, minute * MINUTE)
        book.sweep(minute * MINUTE, MINUTE, [], 1)
    assert len(book) == 2


def test_entries_and_keys_give_the_same_numbers() -> None:
    book = SeriesBook()
    first = book.ids(series("x", "y", entries=[5, 6]), 0).tolist()
    assert book.ids(series("y", "x", entries=[6, 5]), 0).tolist() == first[::-1]
    assert book.ids(series("x", "y"), 0).tolist() == first
