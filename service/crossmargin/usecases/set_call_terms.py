"""Set what is agreed with a client about margin calls, once two persons have asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from crossmargin.domain.account import AccountHead
from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.pending_request import Asked, PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.margin_call import CallStore
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome
from crossmargin.usecases.two_persons import TwoPersons, await_second_person


@dataclass(frozen=True, slots=True)
class SetCallTerms:
    """Replaces the terms of one scope as a whole. Calls that were issued keep their due time; amounts follow the new terms at once."""

    writer: Writer
    calls: CallStore
    two_persons: TwoPersons

    async def __call__(self, agreed: CallAgreement, *, caller: Caller) -> CallAgreement | PendingRequest:
        """Return the terms as they are now, or what awaits a second person.

        Raises:
            DomainError: UNKNOWN_CLIENT or UNKNOWN_ACCOUNT; for a second person what `TwoPersons.confirmation` raises.
        """
        asked = Asked("SetCallTerms", agreed.words, agreed.client_id)
        accounts = () if agreed.account_id is None else (AccountRef(agreed.client_id, agreed.account_id),)

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            confirmation = await self.two_persons.confirmation(asked, caller=caller)
            if confirmation is None:
                return await_second_person(asked, caller=caller)
            new = replace(agreed, set_by=str(confirmation.persons))
            return Decision(encode_outcome({"scope": new.scope}), records=(new, confirmation.end))

        outcome = await self.writer.write(caller.write_request("SetCallTerms", [agreed.words], accounts), decide)
        return await self.two_persons.awaited(outcome) or (await self.calls.agreements())[agreed.client_id, agreed.account_id]
