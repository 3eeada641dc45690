"""Set what a client, or one account of it, may be exposed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from crossmargin.domain.account import AccountHead
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.pending_request import Asked, PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome
from crossmargin.usecases.two_persons import TwoPersons, await_second_person


@dataclass(frozen=True, slots=True)
class SetExposureLimits:
    """Replaces the limits of one scope as a whole, once two persons have asked for it. Who they were is kept with them.

    A halt does not refuse it: nothing is approved meanwhile, and limits are what a halt is often resolved by.
    """

    writer: Writer
    books: BookReader
    two_persons: TwoPersons

    async def __call__(self, limits: ExposureLimits, *, caller: Caller) -> ExposureLimits | PendingRequest:
        """Return the limits as they are now, or what awaits a second person. What is over them already is flagged, never undone.

        Raises:
            DomainError: UNKNOWN_CLIENT or UNKNOWN_ACCOUNT; for a second person what `TwoPersons.confirmation` raises.
        """
        asked = Asked("SetLimits", limits.words, limits.client_id)
        accounts = () if limits.account_id is None else (AccountRef(limits.client_id, limits.account_id),)

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            confirmation = await self.two_persons.confirmation(asked, caller=caller)
            if confirmation is None:
                return await_second_person(asked, caller=caller)
            new = replace(limits, set_by=str(confirmation.persons))
            return Decision(encode_outcome({"scope": new.scope}), records=(new, confirmation.end))

        outcome = await self.writer.write(caller.write_request("SetLimits", [repr(limits)], accounts), decide)
        return await self.two_persons.awaited(outcome) or await self.books.get_limits(limits.client_id, limits.account_id)
