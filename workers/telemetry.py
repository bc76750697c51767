"""Logs of every process in one format: ours, librdkafka's, and those of any other library."""

import logging
import sys
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure(level: str = "INFO", *, json: bool = False) -> None:
    """Set up logging of this process, to standard error.

    `level` is a name such as INFO; raises ValueError for an unknown one.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(json=json),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _rendering(*, json: bool) -> tuple[Processor, ...]:
    if json:
        return (structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer())
    return (structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),)


def logger(name: str, **bound: Any) -> FilteringBoundLogger:
    """Return a logger; `bound` stands in every line that it writes.

    Call as `log.info("event.name", key=value)`.
    """
    return cast(FilteringBoundLogger, structlog.stdlib.get_logger(name, **bound))


def hush(name: str, *, quiet: bool) -> None:
    """Let a library say nothing, or all again, where it would repeat what is known."""
    logging.getLogger(name).setLevel(logging.CRITICAL + 1 if quiet else logging.NOTSET)


def plain_logger(name: str) -> logging.Logger:
    """Return a standard-library logger, for libraries that want one; the format is the same."""
    return logging.getLogger(name)
