"""Set how an account's holding of an asset counts as collateral."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.collateral import AccountCollateralPolicy
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports import Decision, InstrumentReader, Writer


@dataclass(frozen=True, slots=True)
class SetCollateralPolicy:
    """Stores a policy, replacing an earlier one."""

    writer: Writer
    instruments: InstrumentReader

    async def __call__(self, policy: AccountCollateralPolicy, *, caller: Caller) -> AccountCollateralPolicy:
        """Return the policy as stored; UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT, or HALTED."""
        await known_instruments(self.instruments, [policy.instrument_id])

        async def decide(_: object) -> Decision:
            return Decision(response=b"", records=(policy,))

        request = caller.write_request("SetPolicy", [repr(policy)], (policy.account,), is_fact=False)
        await self.writer.write(request, decide)
        return policy
