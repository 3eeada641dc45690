"""Reads of instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.usecases.ports.page import Page


class MemoryInstrumentReader:
    """See `InstrumentReader`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._instruments = database.contents.instruments

    async def get_instruments(self, names: Sequence[InstrumentId]) -> Mapping[InstrumentId, Instrument]:
        """Return those of the instruments that exist."""
        return {name: self._instruments[name] for name in names if name in self._instruments}

    async def list_instruments(self, page: Page) -> Sequence[Instrument]:
        """Return instruments in the order of their ids."""
        names = sorted(name for name in self._instruments if name > (page.after or ""))
        return [self._instruments[name] for name in names[: page.size]]

    async def instruments_version(self) -> int:
        """Return a number that grows whenever an instrument is created: instruments are never taken away, so their count does."""
        return len(self._instruments)
