"""Halting a client or the house, and ending it."""

from __future__ import annotations

from crossmargin.api.v1 import account_service_pb2
from crossmargin_client.call_kinds import One, ask, whole
from crossmargin_client.declaration import answers
from crossmargin_client.requests import new_request_id


class HaltMethods:
    """Halting a client or the house, and ending it."""

    @answers
    def halt(self, reason: str, *, client_id: str = "", request_id: str | None = None) -> One[account_service_pb2.HaltState]:
        """Halt a client, or the house: once this returns, none of its requests commits any more. Facts are booked all the same."""
        request = account_service_pb2.HaltRequest(request_id=request_id or new_request_id(), client_id=client_id, reason=reason)
        return ask(lambda to: to.accounts.Halt, request, lambda answer: answer.state)

    @answers
    def resume(
        self, reason: str, *, client_id: str = "", confirms: str = "", request_id: str | None = None
    ) -> One[account_service_pb2.ResumeResponse]:
        """End the halt of a client, or of the house, once two persons have asked for it.

        The first one's answer has a `pending_request`; the second one sends the same and its `pending_id` as `confirms`.

        Raises:
            PreconditionFailed: FOUR_EYES_REQUIRED, PENDING_REQUEST_DIFFERS or PENDING_REQUEST_ENDED for a second person.
            NotFound: UNKNOWN_CLIENT; UNKNOWN_PENDING_REQUEST.
        """
        request = account_service_pb2.ResumeRequest(
            request_id=request_id or new_request_id(), client_id=client_id, reason=reason, confirms=confirms
        )
        return ask(lambda to: to.accounts.Resume, request, whole)

    @answers
    def get_halt(self, client_id: str = "") -> One[account_service_pb2.HaltState]:
        """Return whether a client, or the house, is halted, and who said so."""
        request = account_service_pb2.GetHaltRequest(client_id=client_id)
        return ask(lambda to: to.accounts.GetHalt, request, lambda answer: answer.state)
