"""The rule of two persons: what one asks for takes effect when another asks for exactly the same, under the name it was given."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.identifiers import PendingRequestId
from crossmargin.domain.pending_request import Asked, Confirmation, PendingRequest, ask_first
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.pending_request import PendingRequests
from crossmargin.usecases.ports.writing import Decision, WriteOutcome
from crossmargin.usecases.refusals import encode_outcome, outcome_or_refusal
from crossmargin.usecases.storage_errors import unknown_pending_request

_PENDING = "pending_request"


@dataclass(frozen=True, slots=True)
class TwoPersons:
    """What a verb asks that one person alone may not do.

    It asks inside its decision, and decides there on what is so then:

        confirmation = await self.two_persons.confirmation(asked, caller=caller)
        if confirmation is None:
            return await_second_person(asked, caller=caller)
        return Decision(response, records=(done, confirmation.end))

    The end of the pending request is written with what was asked for. It is written once, however many confirm at the same moment: the
    others are refused, and nothing of theirs is written.
    """

    pending: PendingRequests

    async def confirmation(self, asked: Asked, *, caller: Caller) -> Confirmation | None:
        """Return the agreement of the two; None when the caller names no pending request, and so is the first.

        Raises:
            DomainError: UNKNOWN_PENDING_REQUEST, also for one of another client; FOUR_EYES_REQUIRED; PENDING_REQUEST_DIFFERS;
                PENDING_REQUEST_ENDED.
        """
        if caller.confirms is None:
            return None
        pending = await self.pending.get_pending(caller.confirms)
        if pending.asked.client_id != asked.client_id:
            raise unknown_pending_request(caller.confirms)
        return pending.confirm(asked, by=caller.principal)

    async def awaited(self, outcome: WriteOutcome) -> PendingRequest | None:
        """Return what a write has come to wait for, as it stands now; None when it took effect. A refusal is raised as the error it is."""
        waits = outcome_or_refusal(outcome.response).get(_PENDING)
        return None if waits is None else await self.pending.get_pending(PendingRequestId(waits))


def await_second_person(asked: Asked, *, caller: Caller) -> Decision:
    """Return the decision to do nothing yet, and to keep what was asked for until a second person asks for it."""
    pending = ask_first(asked, by=caller.principal, request_id=caller.request_id)
    return Decision(encode_outcome({_PENDING: pending.pending_id}), records=(pending,))
