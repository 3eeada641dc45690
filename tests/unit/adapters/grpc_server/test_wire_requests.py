"""Orders, reservations, limits and halts go over the wire and back without losing anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from google.protobuf.duration_pb2 import Duration

from crossmargin.adapters.grpc_server.wire.exposure_limits import limits_from_message, limits_to_message, scope_from_name
from crossmargin.adapters.grpc_server.wire.halt import client_or_house, halt_to_message
from crossmargin.adapters.grpc_server.wire.reservation import need_to_message, order_from_message, reservation_to_message
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId, OffsetGroupId
from crossmargin.domain.reservation import Order, Reservation, ReservationKind, ReservationStatus

CORE = AccountRef(ClientId("alpha"), AccountId("core"))
NOW = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
ORDER = Order(
    *(CORE, BookId("desk"), InstrumentId("BTC"), Decimal("-2.5"), Decimal("61000.25"), ReservationKind.IMMEDIATE, timedelta(seconds=7)),
    settlement=InstrumentId("USD"),
    reference="order 17",
)
RESERVATION = Reservation(
    ORDER,
    4,
    Decimal("-152500.625"),
    InstrumentId("USD"),
    Decimal("-0.5"),
    "desk",
    NOW,
    NOW + timedelta(seconds=7),
    ReservationStatus.ACTIVE,
)


@pytest.mark.parametrize("kind", ReservationKind)
@pytest.mark.parametrize("settlement", [InstrumentId("USD"), None])
def test_an_order_comes_back_as_it_was(kind, settlement):
    order = replace(ORDER, kind=kind, settlement=settlement)
    message = reservation_to_message(replace(RESERVATION, order=order)).order
    assert order_from_message(message, CORE) == order


@pytest.mark.parametrize("status", ReservationStatus)
def test_a_reservation_says_what_is_left_and_where_it_stands(status):
    message = reservation_to_message(replace(RESERVATION, status=status))
    assert (message.reservation, message.filled, message.remaining, message.reserved_by) == (4, "-0.5", "-2", "desk")
    assert pb.ReservationStatus.Name(message.status) == f"RESERVATION_STATUS_{status.name}"
    assert message.expire_time.ToDatetime(tzinfo=UTC) - message.reserve_time.ToDatetime(tzinfo=UTC) == timedelta(seconds=7)


@pytest.mark.parametrize(
    "lifetime",
    [
        Duration(),
        Duration(seconds=-1),
        Duration(seconds=1, nanos=1),
        Duration(seconds=31 * 86_400 + 1),
        Duration(seconds=2**62),
        Duration(nanos=-5),
    ],
    ids=str,
)
def test_a_lifetime_that_is_none_is_refused_by_its_name(lifetime):
    message = reservation_to_message(RESERVATION).order
    message.lifetime.CopyFrom(lifetime)
    with pytest.raises(DomainError) as refused:
        order_from_message(message, CORE)
    assert (refused.value.reason, refused.value.facts["field"]) == (Reason.INVALID_ARGUMENT, "order.lifetime")


def test_what_nobody_can_say_of_an_account_is_empty():
    assert need_to_message(MarginNeed(Decimal(5), Decimal("-1.5"), None)) == pb.MarginNeed(initial_margin="5", excess="-1.5")
    assert need_to_message(MarginNeed(Decimal(5), Decimal(1), Decimal(0))).least_excess == "0"


@pytest.mark.parametrize("account_id", [None, AccountId("core")])
def test_limits_come_back_as_they_were(account_id):
    limits = ExposureLimits(CORE.client_id, account_id, Decimal("10.5"), None, Decimal(0), {OffsetGroupId("BTC"): Decimal(7)})
    message = limits_to_message(limits)
    assert (message.gross, message.net, message.order_notional, dict(message.groups)) == ("10.5", "", "0", {"BTC": "7"})
    assert limits_from_message(message) == limits


@pytest.mark.parametrize("name", ["alpha", "clients/alpha/accounts", "clients/Alpha", "clients/", "books/alpha"])
def test_a_scope_of_another_form_is_refused(name):
    with pytest.raises(DomainError) as refused:
        scope_from_name(name, what="scope")
    assert refused.value.reason is Reason.INVALID_IDENTIFIER


def test_a_halt_says_whose_it_is_and_who_said_so():
    message = halt_to_message(Halt(CORE.client_id, is_halted=True, reason="why", changed_by="alice", changed_at=NOW))
    assert (message.client_id, message.halted, message.reason, message.changed_by) == ("alpha", True, "why", "alice")
    assert not halt_to_message(Halt(None, is_halted=False)).HasField("change_time")
    assert (client_or_house(""), client_or_house("alpha")) == (None, "alpha")
