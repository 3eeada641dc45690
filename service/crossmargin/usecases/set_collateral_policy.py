"""Set how an account's holding of an asset counts as collateral."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.account import AccountHead
from crossmargin.domain.book import append_to_chain, entry_from_policy
from crossmargin.domain.collateral import AccountCollateralPolicy
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports import Clock, Decision, InstrumentReader, Writer


@dataclass(frozen=True, slots=True)
class SetCollateralPolicy:
    """Stores a policy, replacing an earlier one, and enters the change in the account's ledger."""

    writer: Writer
    instruments: InstrumentReader
    clock: Clock

    async def __call__(self, policy: AccountCollateralPolicy, *, caller: Caller) -> int:
        """Return the sequence of the change's entry; UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT, ACCOUNT_CLOSED, or HALTED."""
        await known_instruments(self.instruments, [policy.instrument_id])

        async def decide(heads: Mapping[AccountRef, AccountHead]) -> Decision:
            entry = entry_from_policy(policy, effective_at=self.clock.now())
            chained = append_to_chain(heads[policy.account].check_open(), (entry,))
            return Decision(response=str(chained[-1].sequence).encode(), entries=chained, records=(policy,))

        request = caller.write_request("SetPolicy", [repr(policy)], (policy.account,), is_fact=False)
        outcome = await self.writer.write(request, decide)
        return int(outcome.response)
