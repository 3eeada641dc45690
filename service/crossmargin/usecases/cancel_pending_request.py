"""End what waits for a second person, without effect."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.identifiers import PendingRequestId
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.pending_request import PendingRequests
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome


@dataclass(frozen=True, slots=True)
class CancelPendingRequest:
    """Takes back what one asked for, or declines what another did: that nothing happens needs no second person."""

    writer: Writer
    pending: PendingRequests

    async def __call__(self, pending_id: PendingRequestId, *, caller: Caller) -> PendingRequest:
        """Return the pending request as it ended; UNKNOWN_PENDING_REQUEST, PENDING_REQUEST_ENDED."""

        async def decide(_: object) -> Decision:
            found = await self.pending.get_pending(pending_id)
            return Decision(encode_outcome({"cancelled": pending_id}), records=(found.cancel(by=caller.principal),))

        await self.writer.write(caller.write_request("CancelPendingRequest", [pending_id]), decide)
        return await self.pending.get_pending(pending_id)
