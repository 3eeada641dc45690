"""Lifecycle events: applying them, taking them back, and which are due."""

from __future__ import annotations

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, watch, whole
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import new_request_id


class LifecycleMethods:
    """Lifecycle events: applying them, taking them back, and which are due."""

    @yields
    def apply_lifecycle_event(
        self, event: book_service_pb2.LifecycleEvent, *, account: str = "", request_id: str | None = None, patience_s: float = 60.0
    ) -> Many[book_service_pb2.ApplyLifecycleEventResponse]:
        """Apply an event (see `crossmargin_client.lifecycle`) and yield the outcome of each account, and at the end a summary.

        It is booked as the outcomes come, so read to the end. A run that breaks is run again under the same name and goes on where it
        stopped; after `patience_s` seconds without an outcome the error is raised.
        """
        request = book_service_pb2.ApplyLifecycleEventRequest(request_id=request_id or new_request_id(), event=event, account=account)
        told: set[str] = set()

        def news(response: book_service_pb2.ApplyLifecycleEventResponse) -> book_service_pb2.ApplyLifecycleEventResponse | None:
            if _is_summary(response):
                return response
            known = response.outcome.account in told
            told.add(response.outcome.account)
            return None if known else response

        return watch(lambda to: to.books.ApplyLifecycleEvent, request, news, ends=_is_summary, patience_s=patience_s)

    @answers
    def cancel_lifecycle_event(
        self, account: str, sequence: int, *, reason: str, request_id: str | None = None
    ) -> One[book_service_pb2.CancelLifecycleEventResponse]:
        """Take back what an event did to an account, once, and return where its reverse is."""
        request = book_service_pb2.CancelLifecycleEventRequest(
            request_id=request_id or new_request_id(), account=account, sequence=sequence, reason=reason
        )
        return ask(lambda to: to.books.CancelLifecycleEvent, request, whole)

    @answers
    def list_due_events(self, account: str = "") -> One[book_service_pb2.ListDueEventsResponse]:
        """Return the lifecycle events that are due and that nobody has booked, oldest first; of one account where given."""
        request = book_service_pb2.ListDueEventsRequest(account=account)
        return ask(lambda to: to.books.ListDueEvents, request, whole)


def _is_summary(response: book_service_pb2.ApplyLifecycleEventResponse | None) -> bool:
    return response is not None and response.HasField("summary")
