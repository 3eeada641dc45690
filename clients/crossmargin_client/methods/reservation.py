"""Orders that hold margin."""

from __future__ import annotations

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages, whole
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import PAGE_SIZE, new_request_id


class ReservationMethods:
    """Orders that hold margin."""

    @answers
    def reserve_margin(
        self, account: str, order: margin_service_pb2.Order, *, request_id: str | None = None
    ) -> One[margin_service_pb2.ReserveMarginResponse]:
        """Approve an order (see `order`) and hold its margin until it has filled or is released.

        Raises:
            PreconditionFailed: It was refused, for good under its request id: INSUFFICIENT_MARGIN, LIMIT_EXCEEDED, TOO_MANY_RESERVATIONS or
                HALTED.
        """
        request = margin_service_pb2.ReserveMarginRequest(request_id=request_id or new_request_id(), account=account, order=order)
        return ask(lambda to: to.margin.ReserveMargin, request, whole)

    @answers
    def release_reservation(
        self, account: str, reservation: int, *, request_id: str | None = None
    ) -> One[margin_service_pb2.ReleaseReservationResponse]:
        """End what is left of a reservation: its order was cancelled, or is not open any more."""
        request = margin_service_pb2.ReleaseReservationRequest(
            request_id=request_id or new_request_id(), account=account, reservation=reservation
        )
        return ask(lambda to: to.margin.ReleaseReservation, request, whole)

    @yields
    def list_reservations(self, account: str) -> Many[margin_service_pb2.Reservation]:
        """Yield every reservation of an account in the order of their numbers, ended ones included."""
        request = margin_service_pb2.ListReservationsRequest(account=account, page_size=PAGE_SIZE)
        return pages(lambda to: to.margin.ListReservations, request, lambda page: page.reservations)
