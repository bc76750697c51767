"""Batches to columns against fastavro, message by message."""

import io
from collections.abc import Iterator

import fastavro
import numpy as np

from schemas import codec, columns, files
from schemas.columns_metrics import MetricDecoder
from schemas.observing import MetricReport
from tests.bench.measure import Row, rate
from tests.bench.metrics import START_MS, framed
from tests.examples import IDS
from tests.examples import codec as make_codec

BATCH = 5_000
BATCHES = 20


def rows() -> Iterator[Row]:
    """Measure and yield the lines of the report."""
    known = make_codec()
    values = list(framed(BATCH, schema_id=IDS[MetricReport]))
    schema = codec.parsed(files.text("MetricReport"))

    def ours() -> int:
        for _ in range(BATCHES):
            assert columns.decode(values, MetricReport, known).frame.height == BATCH
        return BATCH * BATCHES

    def theirs() -> int:
        for value in values:
            fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        return BATCH

    decoder, stamps, offsets = MetricDecoder(known), np.full(BATCH, START_MS), np.arange(BATCH)

    def compiled() -> int:
        for _ in range(BATCHES):
            assert decoder.decode(values, stamps, offsets).frame.height == BATCH
        return BATCH * BATCHES

    row_by_row = rate(theirs)
    yield Row("decode to columns", rate(ours), "fastavro, row by row", row_by_row, 4.0)
    yield Row("decode metrics, compiled", rate(compiled), "fastavro, row by row", row_by_row, 8.0)
