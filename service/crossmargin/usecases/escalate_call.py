"""Hand a margin call to the liquidation authority before it is overdue, once two persons have asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.account import AccountHead
from crossmargin.domain.call_life import CallChange, MarginCall, escalate
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.pending_request import Asked, PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.change_call import ChangeCall
from crossmargin.usecases.ports.writing import Decision
from crossmargin.usecases.refusals import encode_outcome
from crossmargin.usecases.two_persons import TwoPersons, await_second_person


@dataclass(frozen=True, slots=True)
class EscalateCall:
    """Escalates a call by hand. An overdue one is escalated by itself."""

    change: ChangeCall
    two_persons: TwoPersons

    async def __call__(self, account: AccountRef, number: int, *, text: str, caller: Caller) -> MarginCall | PendingRequest:
        """Return the call as it is now, or what awaits a second person.

        Raises:
            DomainError: UNKNOWN_CALL, UNKNOWN_ACCOUNT; WRONG_CALL_STATE when it cannot be any more; INVALID_ARGUMENT without words; for a
                second person what `TwoPersons.confirmation` raises.
        """
        asked = Asked("EscalateCall", f"escalate margin call {number} of {account}, because {text!r}", account.client_id)
        done: list[CallChange] = []

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            call = await self.change.calls.get_call(account, number)
            change = escalate(call, at=self.change.clock.now(), by=caller.principal, text=text)
            confirmation = await self.two_persons.confirmation(asked, caller=caller)
            if confirmation is None:
                return await_second_person(asked, caller=caller)
            change = escalate(call, at=self.change.clock.now(), by=str(confirmation.persons), text=text)
            done[:] = [change]
            return Decision(encode_outcome({"notice": change.notice.sequence}), records=(change.call, change.notice, confirmation.end))

        content = [str(account), str(number), text]
        outcome = await self.change.writer.write(caller.write_request("EscalateCall", content, (account,)), decide)
        if not outcome.replayed:
            for change in done:
                self.change.reports.call_changed(change.notice)
        return await self.two_persons.awaited(outcome) or await self.change.calls.get_call(account, number)
