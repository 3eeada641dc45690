"""Requests: writes are named, lists are followed to their end, and history is cut into messages that the service takes."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.api.v1 import account_service_pb2
from crossmargin_client import requests
from crossmargin_client.market_messages import history_messages
from crossmargin_client.methods import Methods
from crossmargin_client.values import PLEDGED, SPAN_GRID, cash


class Unsent:
    """Makes the request of a method of the clients, as it would be sent."""

    def __getattr__(self, method):
        def request(*given, **named):
            call = getattr(Methods, method).describe(None, *given, **named)
            return call.request if hasattr(call, "request") else call.message()

        return request


unsent = Unsent()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WRITES = {
    "create_client": lambda key: unsent.create_client("a", "A", request_id=key),
    "create_account": lambda key: unsent.create_account("clients/a/accounts/b", "B", parent_account="", request_id=key),
    "create_instrument": lambda key: unsent.create_instrument(cash("USD"), request_id=key),
    "record_trades": lambda key: unsent.record_trades("clients/a/accounts/b", [], request_id=key),
    "deposit": lambda key: unsent.deposit(
        "clients/a/accounts/b", "USD", 5, received_at=NOON, book="", reference="", request_id=key
    ),
    "propose_risk_parameters": lambda key: unsent.propose_risk_parameters("{}", request_id=key),
    "approve_risk_parameters": lambda key: unsent.approve_risk_parameters("house-2", request_id=key),
    "activate_risk_parameters": lambda key: unsent.activate_risk_parameters(
        "house-2", active_from=NOON, ramp_days=5, request_id=key
    ),
    "resume": lambda key: unsent.resume("fixed", client_id="a", confirms="", request_id=key),
    "cancel_pending_request": lambda key: unsent.cancel_pending_request("0" * 16, request_id=key),
    "set_policy": lambda key: unsent.set_policy("clients/a/accounts/b", "USD", PLEDGED, request_id=key),
    "set_methodology": lambda key: unsent.set_methodology(
        "clients/a/accounts/b", SPAN_GRID, validate_only=False, request_id=key
    ),
}  # fmt: skip
SERVICE_LIMIT = 1_000_000


@pytest.mark.parametrize("build", WRITES.values(), ids=WRITES)
def test_a_write_without_a_name_gets_one_that_no_other_has(build):
    first, second = requests.request_id_of(build(None)), requests.request_id_of(build(None))
    assert first != second
    assert uuid.UUID(first).version == 4


@pytest.mark.parametrize("build", WRITES.values(), ids=WRITES)
def test_a_write_keeps_the_name_it_was_given(build):
    assert requests.request_id_of(build("mine")) == "mine"


def test_a_read_has_no_name():
    assert requests.request_id_of(unsent.get_margin("clients/a/accounts/b", min_seq=3)) == ""


def test_an_account_with_a_parent_is_isolated_and_one_without_is_cross():
    cross = unsent.create_account("clients/a/accounts/core", "C", parent_account="", request_id="x").account
    isolated = unsent.create_account("clients/a/accounts/bet", "B", parent_account=cross.name, request_id="x").account
    assert (cross.mode, cross.parent_account) == (account_service_pb2.ACCOUNT_MODE_CROSS, "")
    assert (isolated.mode, isolated.parent_account) == (account_service_pb2.ACCOUNT_MODE_ISOLATED, cross.name)


def test_a_list_is_followed_until_a_page_names_no_next_one():
    first = unsent.list_clients()
    second = requests.next_page(first, account_service_pb2.ListClientsResponse(next_page_token="t"))  # noqa: S106 - of a page
    assert (second.page_token, second.page_size) == ("t", requests.PAGE_SIZE)
    assert requests.next_page(second, account_service_pb2.ListClientsResponse()) is None


def days(count):
    return [date(2000, 1, 1) + timedelta(days=number) for number in range(count)]


def reassembled(messages):
    levels = {}
    for message in messages:
        dates = [date(day.year, day.month, day.day) for day in message.dates]
        for column in message.columns:
            for day, level in zip(dates, column.levels, strict=True):
                levels[column.factor_id, day] = level
    return levels


@pytest.mark.parametrize(
    ("day_count", "column_count", "level"),
    [(3, 2, Decimal("1.5")), (5001, 3, 1), (5000, 80, Decimal("12345678901234567890.123456789012345678")), (2, 2001, 1)],
    ids=["small", "too many days", "too many bytes", "too many columns"],
)
def test_history_arrives_whole_in_messages_below_every_limit(day_count, column_count, level):
    columns = {f"spot:X{number}": [level] * day_count for number in range(column_count)}
    messages = history_messages(days(day_count), columns)
    assert all(message.ByteSize() < SERVICE_LIMIT for message in messages)
    assert all(len(message.dates) <= 5000 and 1 <= len(message.columns) <= 2000 for message in messages)
    assert len(reassembled(messages)) == day_count * column_count


def test_history_uses_few_messages():
    columns = {f"spot:X{number}": ["12345.6"] * 1500 for number in range(50)}
    assert len(history_messages(days(1500), columns)) == 1


def test_a_day_without_a_level_is_left_empty():
    (message,) = history_messages(days(2), {"fx:EUR": [None, "1.08"]})
    assert list(message.columns[0].levels) == ["", "1.08"]


def test_a_column_that_does_not_fit_the_dates_is_refused():
    with pytest.raises(ValueError, match="history of fx:EUR has 1 levels for 2 dates"):
        history_messages(days(2), {"fx:EUR": ["1.08"]})


def test_a_snapshot_names_the_level_that_is_no_number():
    with pytest.raises(TypeError, match="level of spot:BTC was the float"):
        unsent.publish_snapshot(NOON, {"spot:BTC": 1.5}, {})
    with pytest.raises(ValueError, match="mark of BTC-PERP was 'x'"):
        unsent.publish_snapshot(NOON, {"spot:BTC": 1}, {"BTC-PERP": "x"})
