"""Book collateral received from a client's custodian."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.book import Deposit, append_to_chain, entry_from_deposit
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class Deposited:
    """Where the deposit is in the account's ledger."""

    sequence: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class DepositCollateral:
    """Books a deposit once; it is a fact, so nothing refuses it but its own mistakes."""

    writer: Writer
    instruments: InstrumentReader

    async def __call__(self, deposit: Deposit, *, caller: Caller) -> Deposited:
        """Return the deposit's sequence; UNKNOWN_INSTRUMENT, UNKNOWN_ACCOUNT, or what `entry_from_deposit` refuses."""
        known = await known_instruments(self.instruments, [deposit.instrument_id])
        entry = entry_from_deposit(deposit, known[deposit.instrument_id])

        async def decide(books: Books) -> Decision:
            chained = append_to_chain(books.states[deposit.account].head.check_open(), (entry,))
            return Decision(response=str(chained[-1].sequence).encode(), entries=chained)

        outcome = await self.writer.decide(caller.write_request("Deposit", [repr(deposit)], (deposit.account,)), decide)
        return Deposited(int(outcome.response), outcome.replayed)
