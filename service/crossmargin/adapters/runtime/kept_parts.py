"""What runs over the house share, cut into parts, so that what stays the same from one run to the next is sent to a process once."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final, TypeAlias

from crossmargin.adapters.runtime.block_link import PICKLE_PROTOCOL, SentPart, places_of
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

PART_TYPES: Final = (Instrument, RiskParameters, ScenarioSet, MarketSnapshot, RevaluedMarket)
"""Objects of these are parts. Those that outlive a snapshot of the market come first; a market is of all of them."""
_SMALL_BYTES: Final = 4096
"""A buffer of at most so many bytes travels with the pickle; each other one lies in the part's file, which all processes map."""
_IsInline: TypeAlias = Callable[[pickle.PickleBuffer], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """An object that processes keep, pickled without the parts inside it.

    Attributes:
        whole: The object, held so that no other one takes its identity.
        parts: What it is made of, those inside parts of it included, each after what it is made of itself.
        file: Descriptor of the file with its buffers; None without any. It has no name: it is gone when nobody has it open or mapped.
    """

    number: int
    whole: object
    parts: tuple[Part, ...]
    pickled: bytes
    lengths: list[int]
    file: int | None

    @property
    def sent(self) -> SentPart:
        """The part as it is sent."""
        return self.number, self.pickled, self.lengths


@dataclass(slots=True)
class KeptParts:
    """Knows an object by its identity, for as long as a run needs it and until the next run begins. Not for two threads at once."""

    _known: dict[int, Part] = field(default_factory=dict)
    _last_number: int = 0

    def cut(self, shared: object) -> Part:
        """Return what is shared as a part; what is in it and has been cut before is the part that it was."""
        inside: dict[int, Part] = {}
        pickled, buffers = BytesIO(), list[memoryview]()

        def is_inline(buffer: pickle.PickleBuffer) -> bool:
            view = buffer.raw()
            if view.nbytes > _SMALL_BYTES:
                buffers.append(view)
            return view.nbytes <= _SMALL_BYTES

        _Pickler(pickled, self, shared, inside, is_inline).dump(shared)
        self._last_number += 1
        lengths = [view.nbytes for view in buffers]
        file = _file_of(buffers, lengths) if buffers else None
        part = Part(self._last_number, shared, tuple(inside.values()), pickled.getvalue(), lengths, file)
        self._known[id(shared)] = part
        return part

    def known(self, whole: object) -> Part:
        """Return an object as a part, cut if it is not known yet."""
        return self._known.get(id(whole)) or self.cut(whole)

    def keep_only(self, needed: Iterable[Part]) -> frozenset[int]:
        """Let go of every part but those needed and what they are made of; return the numbers of those kept."""
        kept = {one.number for part in needed for one in (*part.parts, part)}
        for identity, part in list(self._known.items()):
            if part.number not in kept:
                del self._known[identity]
                if part.file is not None:
                    os.close(part.file)
        return frozenset(kept)


class _Pickler(pickle.Pickler):
    """Pickles an object, with the number of a part in the place of each part inside it."""

    def __init__(self, file: BytesIO, kept: KeptParts, whole: object, inside: dict[int, Part], is_inline: _IsInline) -> None:
        super().__init__(file, PICKLE_PROTOCOL, buffer_callback=is_inline)
        self._kept, self._whole, self._inside = kept, whole, inside

    def persistent_id(self, obj: object) -> int | None:
        if not isinstance(obj, PART_TYPES) or obj is self._whole:
            return None
        part = self._kept.known(obj)
        for one in (*part.parts, part):
            self._inside.setdefault(one.number, one)
        return part.number


def _file_of(buffers: Sequence[memoryview], lengths: list[int]) -> int:
    file = _nameless_file()
    for view, (start, end) in zip(buffers, places_of(lengths), strict=True):
        at = start
        while at < end:
            at += os.pwrite(file, view[at - start :], at)
    return file


def _nameless_file() -> int:
    """Return a file in memory, or, where there are none or none is to be had, one on disk that has no name any more."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):  # a kernel may be told to refuse them
            return os.memfd_create("crossmargin-market")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
