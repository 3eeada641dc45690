"""Look instruments up, or say precisely which one is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.storage_errors import unknown_instrument


async def instruments_by_name(
    current_market: CurrentMarket, reader: InstrumentReader, names: Iterable[InstrumentId]
) -> Mapping[InstrumentId, Instrument]:
    """Return the instruments as `known_instruments` does, and ask nobody for what the market at hand has valued."""
    wanted = set(names)
    at_hand = current_market.instruments_at_hand(wanted)
    return at_hand if len(at_hand) == len(wanted) else await known_instruments(reader, wanted)


async def known_instruments(reader: InstrumentReader, names: Iterable[InstrumentId]) -> Mapping[InstrumentId, Instrument]:
    """Return the instruments by name; UNKNOWN_INSTRUMENT for the first, in alphabetical order, that does not exist."""
    wanted = sorted(set(names))
    found = await reader.get_instruments(wanted) if wanted else {}
    for name in wanted:
        if name not in found:
            raise unknown_instrument(name)
    return found
