"""Set how an account's holding of an asset counts as collateral."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.book import append_to_chain, entry_from_policy
from crossmargin.domain.collateral import AccountCollateralPolicy
from crossmargin.domain.halt import halted
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_refusal, sequence_or_refusal


@dataclass(frozen=True, slots=True)
class SetCollateralPolicy:
    """Stores a policy, replacing an earlier one, and enters the change in the account's ledger."""

    writer: Writer
    instruments: InstrumentReader
    clock: Clock

    async def __call__(self, policy: AccountCollateralPolicy, *, caller: Caller) -> int:
        """Return the sequence of the change's entry; UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT, ACCOUNT_CLOSED, or HALTED."""
        await known_instruments(self.instruments, [policy.instrument_id])

        async def decide(books: Books) -> Decision:
            if books.halts:
                return Decision(encode_refusal(halted(books.halts[0])))
            entry = entry_from_policy(policy, effective_at=self.clock.now())
            chained = append_to_chain(books.states[policy.account].head.check_open(), (entry,))
            return Decision(response=str(chained[-1].sequence).encode(), entries=chained, records=(policy,))

        request = caller.write_request("SetPolicy", [repr(policy)], (policy.account,), is_fact=False)
        outcome = await self.writer.decide(request, decide)
        return sequence_or_refusal(outcome.response)
