"""A file that is read again when it has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

T = TypeVar("T")
LOOK_EVERY_S: Final = 1.0
log = structlog.get_logger()


class WatchedFile(Generic[T]):
    """What a file says, as of a second ago at most.

    A file that has become unreadable, such as one that is just being written, leaves what it said before in force, and the log says so.

    Args:
        path: The file; a link, as Kubernetes makes them for secrets, is followed anew each time.
        parse: Returns what the file's bytes say; raises ValueError for what they must not.

    Raises:
        ValueError: When it is first read.
        OSError: When it is first read.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], T], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._parse = parse
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._stamp = self._state()
        self._value = parse(path.read_bytes())

    @property
    def value(self) -> T:
        """What the file says."""
        now = self._monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._look()
        return self._value

    def _look(self) -> None:
        try:
            stamp = self._state()
            if stamp == self._stamp:
                return
            self._value = self._parse(self._path.read_bytes())
        except (OSError, ValueError) as error:
            log.error("file cannot be read again; what it said before stays in force", file=str(self._path), error=type(error).__qualname__)  # noqa: TRY400 - its text may quote the file
            return
        self._stamp = stamp
        log.info("file was read again", file=str(self._path))

    def _state(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
