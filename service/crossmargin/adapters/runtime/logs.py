"""Logs as one JSON object a line on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import structlog
from structlog.typing import Processor


def configure_logs(more_fields: Sequence[Processor] = ()) -> None:
    """Send everything that is logged, by us and by libraries, to standard error as JSON with a UTC time and `more_fields`."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *more_fields,
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_ToStructlog()], force=True)


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger(record.name)
        log = logger.error if record.levelno >= logging.ERROR else logger.warning
        log(record.getMessage(), **({"exc_info": record.exc_info} if record.exc_info else {}))
