"""Reference data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.usecases.ports.page import Page


class InstrumentReader(Protocol):
    """Reads of reference data."""

    async def get_instruments(self, names: Sequence[InstrumentId]) -> Mapping[InstrumentId, Instrument]:
        """Return those of the instruments that exist."""
        ...

    async def list_instruments(self, page: Page) -> Sequence[Instrument]:
        """Return instruments in the order of their ids."""
        ...

    async def instruments_version(self) -> int:
        """Return a number that grows whenever an instrument is created; caches compare it."""
        ...
