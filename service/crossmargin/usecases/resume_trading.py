"""Resume a client or the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from crossmargin.domain.account import AccountHead
from crossmargin.domain.halt import Halt, check_halt_reason
from crossmargin.domain.identifiers import AccountRef, ClientId
from crossmargin.domain.pending_request import Asked, PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome
from crossmargin.usecases.two_persons import TwoPersons, await_second_person


@dataclass(frozen=True, slots=True)
class ResumeTrading:
    """Turns the switch back, once two persons have asked for it. A halt takes one."""

    writer: Writer
    books: BookReader
    two_persons: TwoPersons

    async def __call__(self, client_id: ClientId | None, *, reason: str, caller: Caller) -> Halt | PendingRequest:
        """Return the switch as it is now, of a client, or with None of the house; or what awaits a second person.

        Raises:
            DomainError: UNKNOWN_CLIENT; INVALID_ARGUMENT for a reason that says nothing; SERVICE_BUSY when requests under way did not end
                in time, so that nothing was resumed: ask again; for a second person what `TwoPersons.confirmation` raises.
        """
        resumed = Halt(client_id, is_halted=False, reason=check_halt_reason(reason))
        asked = Asked("Resume", resumed.words, client_id)

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            confirmation = await self.two_persons.confirmation(asked, caller=caller)
            if confirmation is None:
                return await_second_person(asked, caller=caller)
            new = replace(resumed, changed_by=str(confirmation.persons))
            return Decision(encode_outcome({"scope": new.scope}), records=(new, confirmation.end))

        outcome = await self.writer.write(caller.write_request("Resume", [resumed.scope, reason]), decide)
        return await self.two_persons.awaited(outcome) or await self.books.get_halt(client_id)
