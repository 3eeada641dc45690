"""Reads of instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import ARRAY, Integer, Text, any_, bindparam, select

from crossmargin.adapters.postgres.counters import counter_value
from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.adapters.postgres.instrument_terms import terms_from_json
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import instrument
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.usecases.ports.page import Page

INSTRUMENTS_VERSION: Final = "instruments"
_INSTRUMENT: Final = select(
    instrument.c.instrument_id,
    instrument.c.kind,
    instrument.c.terms,
    instrument.c.quantity_places,
    instrument.c.collateral_class,
    instrument.c.description,
)
INSTRUMENTS_BY_ID: Final = compiled(_INSTRUMENT.where(instrument.c.instrument_id == any_(bindparam("names", type_=ARRAY(Text)))))
_INSTRUMENTS: Final = compiled(
    _INSTRUMENT.where(instrument.c.instrument_id > bindparam("after", type_=Text))
    .order_by(instrument.c.instrument_id)
    .limit(bindparam("size", type_=Integer))
)
MOST_KEPT: Final = 20_000
"""Instruments kept, some 1,000 bytes each; those that were read first go for the next."""


class PostgresInstrumentReader:
    """See `InstrumentReader`. What an instrument is never changes, so one that was asked for by its name is not read again."""

    def __init__(self, database: Database, *, most_kept: int = MOST_KEPT) -> None:
        self._database = database
        self._kept: dict[InstrumentId, Instrument] = {}
        self._most_kept = most_kept

    async def get_instruments(self, names: Sequence[InstrumentId]) -> Mapping[InstrumentId, Instrument]:
        """Return those of the instruments that exist."""
        known = {name: self._kept[name] for name in names if name in self._kept}
        unknown = [name for name in names if name not in known]
        if not unknown:
            return known
        found = map(instrument_from_row, await self._database.rows(INSTRUMENTS_BY_ID, names=unknown))
        read = {instrument.instrument_id: instrument for instrument in found}
        self._keep(read)
        return known | read

    def _keep(self, read: Mapping[InstrumentId, Instrument]) -> None:
        self._kept |= read
        while len(self._kept) > self._most_kept:
            del self._kept[next(iter(self._kept))]

    async def list_instruments(self, page: Page) -> Sequence[Instrument]:
        """Return instruments in the order of their ids."""
        rows = await self._database.rows(_INSTRUMENTS, after=page.after or "", size=page.size)
        return [instrument_from_row(row) for row in rows]

    async def instruments_version(self) -> int:
        """Return a number that grows whenever an instrument is created."""
        return await counter_value(self._database, INSTRUMENTS_VERSION)


def instrument_from_row(row: Row) -> Instrument:
    """Return the instrument that a row of `instrument` holds."""
    return Instrument(
        InstrumentId(row["instrument_id"]),
        terms_from_json(row["kind"], row["terms"]),
        row["quantity_places"],
        row["collateral_class"],
        row["description"],
    )
