"""A process that works on blocks of runs for another one, and ends with it: python -m ...block_process LINK FILES."""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import select
import socket
import sys
from collections.abc import Callable
from io import BytesIO
from threading import Thread
from typing import Any, Final

from crossmargin.adapters.runtime.block_link import HEADER, PICKLE_PROTOCOL, Say, SentPart, message, places_of

BEHIND: Final = 5
"""How much nicer than whoever started it: calls are answered first, wherever there are fewer cores than work."""


class BlockProcess:
    """Holds what runs share, and does to each block what it is told to do."""

    def __init__(self, link: socket.socket, files: socket.socket) -> None:
        self._link = link
        self._files = files
        self._kept: dict[int, object] = {}

    def serve(self) -> None:
        """Do as told until the other end closes."""
        while True:
            header = self._read(HEADER.size)
            if header is None:
                return
            kind, length = HEADER.unpack(header)
            payload = self._read(length)
            if payload is None:
                return
            self._do(Say(kind), payload)

    def _do(self, kind: Say, payload: memoryview) -> None:
        # Of our own process, which could do all of it itself: nobody else can reach the link.
        told: Any = pickle.loads(payload)  # noqa: S301
        if kind is Say.KEEP:
            for part in told:
                self._keep(part)
            # What is kept, and all that was imported to read it, is looked at by no collection of garbage.
            gc.freeze()
        elif kind is Say.DROP:
            for number in told:
                self._kept.pop(number, None)
        else:
            self._link.sendall(self._answer(*told))

    def _keep(self, part: SentPart) -> None:
        number, pickled, lengths = part
        unpickler = _Unpickler(BytesIO(pickled), buffers=self._buffers(lengths))
        unpickler.kept = self._kept
        self._kept[number] = unpickler.load()

    def _buffers(self, lengths: list[int]) -> list[memoryview]:
        if not lengths:
            return []
        places = places_of(lengths)
        _, (file,), _, _ = socket.recv_fds(self._files, 1, 1)
        try:
            # Shared with all the others until somebody writes to it, which nobody should and no array is told.
            mapped = mmap.mmap(file, places[-1][1], flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        finally:
            os.close(file)
        return [memoryview(mapped)[start:end] for start, end in places]

    def _answer(self, number: int, work: Callable[[object, object], object], block: object) -> bytes:
        try:
            return message(Say.DONE, pickle.dumps(work(self._kept[number], block), PICKLE_PROTOCOL))
        except Exception:  # noqa: BLE001 - whoever asked does it himself then, and is told what is wrong
            return message(Say.FAILED)

    def _read(self, length: int) -> memoryview | None:
        """Return so many bytes; None when the other end has closed."""
        found = memoryview(bytearray(length))
        at = 0
        while at < length:
            count = self._link.recv_into(found[at:])
            if not count:
                return None
            at += count
        return found


class _Unpickler(pickle.Unpickler):
    kept: dict[int, object]

    def persistent_load(self, pid: int) -> object:
        return self.kept[pid]


def _end_with(link: socket.socket) -> None:
    """End this process as soon as the other end of the link is closed, in the middle of a block as well: nobody is left to answer to."""
    poller = select.poll()
    poller.register(link, 0)  # nothing but that it was hung up
    poller.poll()
    os._exit(0)


def main() -> None:
    """Work for whoever has the other ends of the two sockets that are named by their descriptors."""
    link, files = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    Thread(target=_end_with, args=(link,), daemon=True).start()
    os.nice(BEHIND)
    BlockProcess(link, files).serve()


if __name__ == "__main__":
    main()
