"""End a liquidation: nothing more of it is to be traded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.account import AccountHead
from crossmargin.domain.identifiers import AccountRef, PendingRequestId
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep, abandoned
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.liquidation import LiquidationReports, LiquidationStore
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome


@dataclass(frozen=True, slots=True)
class AbandonLiquidation:
    """Takes one person: to stop does nobody harm that a new plan could not mend."""

    writer: Writer
    liquidations: LiquidationStore
    clock: Clock
    reports: LiquidationReports

    async def __call__(self, account: AccountRef, liquidation_id: PendingRequestId, *, text: str, caller: Caller) -> Liquidation:
        """Return the liquidation as it stands.

        Raises:
            DomainError: UNKNOWN_LIQUIDATION; LIQUIDATION_ENDED; INVALID_ARGUMENT without words; and whatever the write path refuses.
        """
        steps: list[LiquidationStep] = []

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            current = await self.liquidations.get_liquidation(account, liquidation_id)
            change = abandoned(current, at=self.clock.now(), by=caller.principal, text=text)
            steps[:] = [change.step]
            return Decision(encode_outcome({"step": change.step.number}), records=(change.liquidation, change.step))

        request = caller.write_request("AbandonLiquidation", [str(account), liquidation_id, text], (account,))
        if not (await self.writer.write(request, decide)).replayed:
            self.reports.liquidation_stepped(*steps)
        return await self.liquidations.get_liquidation(account, liquidation_id)
