"""Hand a margin call to the liquidation authority before it is overdue, once two persons have asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.call_life import MarginCall, escalate
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.change_call_by_two import ChangeCallByTwo


@dataclass(frozen=True, slots=True)
class EscalateCall:
    """Escalates a call by hand. An overdue one is escalated by itself."""

    change: ChangeCallByTwo

    async def __call__(self, account: AccountRef, number: int, *, text: str, caller: Caller) -> MarginCall | PendingRequest:
        """Return the call as it is now, or what awaits a second person.

        Raises:
            DomainError: UNKNOWN_CALL, UNKNOWN_ACCOUNT; WRONG_CALL_STATE when it cannot be any more; INVALID_ARGUMENT without words; for a
                second person what `TwoPersons.confirmation` raises.
        """
        words = f"escalate margin call {number} of {account}"
        return await self.change("EscalateCall", words, account, number, escalate, text=text, caller=caller)
