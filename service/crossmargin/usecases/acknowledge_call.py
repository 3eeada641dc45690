"""Say that a client has a margin call."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.call_life import MarginCall, acknowledge
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.change_call import ChangeCall


@dataclass(frozen=True, slots=True)
class AcknowledgeCall:
    """Acknowledges a call; it is due as before."""

    change: ChangeCall

    async def __call__(self, account: AccountRef, number: int, *, text: str, caller: Caller) -> MarginCall:
        """Return the call; WRONG_CALL_STATE unless it was issued or disputed, and what `ChangeCall` raises."""
        by = caller.principal
        return await self.change(
            "AcknowledgeCall", account, number, (text,), lambda call, at: acknowledge(call, at=at, by=by, text=text), caller=caller
        )
