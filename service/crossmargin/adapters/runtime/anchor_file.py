"""Anchors outside the database: one JSON object a line, only ever added to."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from crossmargin.domain.audit_anchor import Anchor, anchor_from_document, anchor_to_document
from crossmargin.domain.ledger_audit import UnreadableAnchor

_TAIL_BYTES: Final = 1 << 20


class AnchorFile:
    """See `AnchorJournal`. The file is opened for appending alone, so it may be on a medium that allows nothing else (`chattr +a`)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def last_anchor(self) -> Anchor | None:
        """Return the last anchor in the file; None when there is no file or nothing whole in it."""
        return await asyncio.to_thread(self._last)

    async def append(self, anchor: Anchor) -> None:
        """Write an anchor and make it durable."""
        await asyncio.to_thread(self._append, anchor)

    def _append(self, anchor: Anchor) -> None:
        line = json.dumps(anchor_to_document(anchor), separators=(",", ":")).encode() + b"\n"
        is_new = not self._path.exists()
        with self._path.open("ab") as file:
            # A line that a crash cut off stays as it is, on a line of its own; the anchor it was to be is written again behind it.
            file.write(line if is_new or self._ends_whole() else b"\n" + line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _make_name_durable(self._path.parent)

    def _ends_whole(self) -> bool:
        with self._path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
            return not end or file.read(1) == b"\n"

    def _last(self) -> Anchor | None:
        last: Anchor | None = None
        for found in _anchors_of(_tail_lines(self._path), self._path.name, first_line=None):
            if isinstance(found, UnreadableAnchor):
                raise ValueError(f"{self._path}: {found.fault}")  # noqa: TRY004 - what is in the file, not what we were given
            last = found
        return last


def read_anchor_file(path: Path) -> Iterator[Anchor | UnreadableAnchor]:
    """Yield the anchors of a file in its order. What a crash cut off, and was written again, is passed over.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        yield from _anchors_of(file, path.name, first_line=1)


def _anchors_of(lines: Iterable[bytes], name: str, *, first_line: int | None) -> Iterator[Anchor | UnreadableAnchor]:
    # Numbers say whether a broken line was written again: in the middle of a file they are not known yet.
    previous = 0 if first_line is not None else None
    waiting: UnreadableAnchor | None = None
    for number, line in enumerate(lines, start=first_line or 1):
        if not line.strip():
            continue
        try:
            anchor = anchor_from_document(json.loads(line))
        except ValueError as error:
            if waiting is not None:
                yield waiting
            where = f"line {number} of {name}" if first_line is not None else f"a line near the end of {name}"
            waiting = UnreadableAnchor((previous or 0) + 1, f"{where} holds no anchor: {str(error)[:200]}")
            if not line.endswith(b"\n"):
                return  # being written just now, or cut off by a crash: the anchor is in the database, and will be written again
            continue
        if waiting is not None and previous is not None and anchor.number != previous + 1:
            yield waiting
        waiting, previous = None, anchor.number
        yield anchor
    if waiting is not None:
        yield waiting


def _tail_lines(path: Path) -> Iterator[bytes]:
    """Yield the last whole lines of a file, as many as it takes to have one."""
    if not path.exists():
        return
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        size = _TAIL_BYTES
        while True:
            start = max(0, end - size)
            file.seek(start)
            lines = file.read(end - start).splitlines(keepends=True)
            whole = lines if start == 0 else lines[1:]
            if len(whole) > 1 or start == 0:
                yield from whole
                return
            size *= 8


def _make_name_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
