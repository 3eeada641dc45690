"""Let a margin call go unmet, once two persons have asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.call_life import MarginCall, waive
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.change_call_by_two import ChangeCallByTwo


@dataclass(frozen=True, slots=True)
class WaiveCall:
    """Waives a call. The account is called again once it has left margin call and come back."""

    change: ChangeCallByTwo

    async def __call__(self, account: AccountRef, number: int, *, text: str, caller: Caller) -> MarginCall | PendingRequest:
        """Return the call as it is now, or what awaits a second person.

        Raises:
            DomainError: UNKNOWN_CALL, UNKNOWN_ACCOUNT; WRONG_CALL_STATE when it cannot be any more; INVALID_ARGUMENT without words; for a
                second person what `TwoPersons.confirmation` raises.
        """
        words = f"waive margin call {number} of {account}"
        return await self.change("WaiveCall", words, account, number, waive, text=text, caller=caller)
