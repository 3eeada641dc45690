"""Create an instrument."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Cash, CurrencyTerms, Instrument
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class CreateInstrument:
    """Creates an instrument, or returns it when an equal one exists."""

    writer: Writer
    instruments: InstrumentReader

    async def __call__(self, instrument: Instrument, *, caller: Caller) -> Instrument:
        """Return the instrument as stored.

        Raises:
            DomainError: UNKNOWN_INSTRUMENT when what it settles in or exchanges does not exist; INVALID_INSTRUMENT when that is not an
                asset (for a kind that exchanges currencies, not cash); ALREADY_EXISTS when the id is taken by other terms.
        """
        needed = await known_instruments(self.instruments, instrument.references())
        for other in needed.values():
            _check_reference(instrument, other)

        async def decide(_: object) -> Decision:
            return Decision(response=b"", records=(instrument,))

        await self.writer.write(caller.write_request("CreateInstrument", [repr(instrument)]), decide)
        return instrument


def _check_reference(instrument: Instrument, other: Instrument) -> None:
    fits = isinstance(other.terms, Cash) if isinstance(instrument.terms, CurrencyTerms) else other.is_asset
    if not fits:
        expected = "cash" if isinstance(instrument.terms, CurrencyTerms) else "cash, a stablecoin or a coin"
        raise DomainError(
            Reason.INVALID_INSTRUMENT,
            f"{instrument.instrument_id} refers to {other.instrument_id}, a {type(other.terms).__name__}; expected {expected}",
            instrument=instrument.instrument_id,
            value=InstrumentId(other.instrument_id),
            expected=expected,
        )
