"""Say that a client does not agree with a margin call."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.call_life import DisputeReason, MarginCall, dispute
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.change_call import ChangeCall


@dataclass(frozen=True, slots=True)
class DisputeCall:
    """Disputes a call, with a reason. It stops no clock: the call is due as before, and only a waiver ends it unmet."""

    change: ChangeCall

    async def __call__(self, account: AccountRef, number: int, reason: DisputeReason, *, text: str, caller: Caller) -> MarginCall:
        """Return the call; WRONG_CALL_STATE for a closed or escalated one, INVALID_ARGUMENT without words, and what `ChangeCall` raises."""
        by, content = caller.principal, (reason.value, text)
        return await self.change(
            "DisputeCall", account, number, content, lambda call, at: dispute(call, reason, at=at, by=by, text=text), caller=caller
        )
