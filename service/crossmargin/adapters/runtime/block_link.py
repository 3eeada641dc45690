"""What a compute pool and the processes that work for it say to each other, over a socket of each."""

from __future__ import annotations

import struct
from enum import IntEnum, unique
from typing import Final

PICKLE_PROTOCOL: Final = 5
HEADER: Final = struct.Struct(">BQ")
"""What a message is, and how many bytes come after it."""


@unique
class Say(IntEnum):
    """What a message is, and what its bytes are when unpickled."""

    KEEP = 1
    """To a process: keep these parts, a list of `SentPart`; files of those that have one come over the socket for files, in their order."""
    DROP = 2
    """To a process: let go of these parts, a list of their numbers."""
    WORK = 3
    """To a process: the number of what is shared, the work, a block. It is answered, and such messages are answered in their order."""
    DONE = 4
    """From a process: what the work returned."""
    FAILED = 5
    """From a process: the work raised, or what it returned cannot be sent. No bytes."""


SentPart = tuple[int, bytes, list[int]]
"""Number, pickle, and the lengths of its buffers, which lie in a file one after the other, each from a multiple of `ALIGNED_BYTES` on."""
ALIGNED_BYTES: Final = 64


def message(kind: Say, payload: bytes = b"") -> bytes:
    """Return a message as it is sent."""
    return HEADER.pack(kind, len(payload)) + payload


def places_of(lengths: list[int]) -> list[tuple[int, int]]:
    """Return where buffers of these lengths begin and end in their file.

    >>> places_of([10, 64, 1])
    [(0, 10), (64, 128), (128, 129)]
    """
    places, start = [], 0
    for length in lengths:
        places.append((start, start + length))
        start += -(-length // ALIGNED_BYTES) * ALIGNED_BYTES
    return places
