"""Logs as one JSON object a line on standard error: of each line what is known to be harmless, and nothing else."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final

import structlog
from structlog.typing import Processor

LONGEST_TEXT: Final = 2000
_UNSAID: Final = "a message of a library"
# fmt: off
FIELDS: Final = frozenset({
    # Every line.
    "event", "level", "timestamp", "trace_id", "span_id",
    # The process.
    "grpc_address", "admin_address", "engine", "drain_s", "why", "task", "error", "stack", "library", "what", "file", "not_after",
    # A call that failed, and who was turned away.
    "method", "incident", "kind", "principal", "roles", "clients", "reason", "workload", "token",
    # The ledger.
    "number", "accounts", "entries", "root", "content_hash", "key", "signature", "details", "detail_count", "duration_s", "findings",
    "projection", "account", "row", "stored", "due",
    # Breakers.
    "breaker", "cause",
    # Processes for runs.
    "blocks", "exit_code",
    # Liquidations.
    "liquidation", "step", "state",
})
# fmt: on
"""What a line may say. Anything else is left out and named, so that it is missed, and never shown by mistake."""


def configure_logs(more_fields: Sequence[Processor] = ()) -> None:
    """Send everything that is logged, by us and by libraries, to standard error as JSON with a UTC time and `more_fields`."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *more_fields,
            name_exception,
            keep_known_fields,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_ToStructlog()], force=True)


def keep_known_fields(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out what is not in `FIELDS`, and name it; keep every text to one printable line (a structlog processor)."""
    kept = {name: _plain(value) for name, value in event.items() if name in FIELDS}
    left_out = sorted(event.keys() - FIELDS)
    return {**kept, "left_out": left_out} if left_out else kept


def name_exception(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the kind of an exception and its lines of code where the exception was: what it says may quote a request or a password."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["error"] = type(error).__qualname__
        event["stack"] = "".join(traceback.format_tb(error.__traceback__))
    return event


def _plain(value: object) -> object:
    match value:
        case str():
            # Line breaks and escape sequences could make one line look like another, or like two.
            return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in value[:LONGEST_TEXT])
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {_plain(str(name)): _plain(item) for name, item in value.items()}
        case bool() | int() | float() | None:
            return value
        case _:
            return type(value).__qualname__


class _ToStructlog(logging.Handler):
    """Takes what libraries say, with numbers as they are and the kind of any other value in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        log = logger.error if record.levelno >= logging.ERROR else logger.warning
        log(_words(record), library=record.name, **({"exc_info": record.exc_info} if record.exc_info else {}))


def _words(record: logging.LogRecord) -> str:
    """Return a message without what may be secret in it.

    Words that come with values were written by a programmer, so they are said, and where a text would be stands `<str>`: a password of a
    connection, a name in a query. Words without values may have been put together from some, so nothing of them is said.
    """
    if not record.args or not isinstance(record.msg, str):
        return _UNSAID
    try:
        return record.msg % _without_texts(record.args)
    except (TypeError, ValueError, KeyError):  # what is said does not fit what it is said of
        return _UNSAID


def _without_texts(values: tuple[object, ...] | Mapping[str, object]) -> tuple[object, ...] | dict[str, object]:
    if isinstance(values, Mapping):
        return {name: _number_or_kind(value) for name, value in values.items()}
    return tuple(_number_or_kind(value) for value in values)


def _number_or_kind(value: object) -> object:
    # By its very type: a kind of number of somebody else's may have words of its own.
    return value if type(value) in {int, float, bool} else _Kind(type(value).__qualname__)


class _Kind:
    """Stands in a message where a value would be, whichever way it is formatted."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name}>"
