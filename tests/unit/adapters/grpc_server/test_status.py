"""Errors as statuses."""

from __future__ import annotations

import base64
from urllib.parse import quote

import grpc
import pytest
import structlog
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from protovalidate import ValidationError, Validator

from crossmargin.adapters.grpc_server.status import DeadlineExceededError, code_of, status_of
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.domain.errors import DomainError, ErrorKind, Reason

CODES = {
    ErrorKind.INVALID: "INVALID_ARGUMENT",
    ErrorKind.NOT_FOUND: "NOT_FOUND",
    ErrorKind.ALREADY_EXISTS: "ALREADY_EXISTS",
    ErrorKind.PRECONDITION: "FAILED_PRECONDITION",
    ErrorKind.CONFLICT: "ABORTED",
    ErrorKind.UNAUTHENTICATED: "UNAUTHENTICATED",
    ErrorKind.DENIED: "PERMISSION_DENIED",
    ErrorKind.EXHAUSTED: "RESOURCE_EXHAUSTED",
    ErrorKind.UNAVAILABLE: "UNAVAILABLE",
}
METADATA_LIMIT = 8 * 1024
ACCOUNT = "clients/alpha/accounts/core"


def detail(status, kind):
    message = kind()
    return message if any(one.Unpack(message) for one in status.details) else None


def violations(message) -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        Validator().validate(message)
    return refused.value


def trailer_bytes(status) -> int:
    """What the status takes on the wire: the message percent-encoded, the details in base64, and the names."""
    details = len(base64.b64encode(status.SerializeToString()))
    return len("grpc-message") + len(quote(status.message, safe="")) + len("grpc-status-details-bin") + details


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_every_reason_has_its_code_and_carries_its_facts(reason):
    status = status_of(DomainError(reason, "what went wrong", instrument="BTC"), method="m")
    info = detail(status, ErrorInfo)
    assert (code_of(status).name, status.message) == (CODES[reason.kind], "what went wrong")
    assert (info.reason, info.domain, dict(info.metadata)) == (reason.code, "crossmargin", {"instrument": "BTC"})


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_only_what_may_pass_by_waiting_says_when_to_retry(reason):
    retry = detail(status_of(DomainError(reason, "m"), method="m"), RetryInfo)
    assert (retry is not None) == (reason.kind in {ErrorKind.EXHAUSTED, ErrorKind.UNAVAILABLE})


def test_broken_rules_are_all_listed_and_the_first_is_the_message():
    request = books_pb.RecordTradesRequest(request_id="1", account="core")
    status = status_of(violations(request), method="m")
    info, bad = detail(status, ErrorInfo), detail(status, BadRequest)
    expected = "clients/{client}/accounts/{account}, such as clients/alpha/accounts/core"
    assert code_of(status) is grpc.StatusCode.INVALID_ARGUMENT
    assert status.message == f"account was 'core'; expected {expected}; and 1 more"
    assert (info.reason, dict(info.metadata)) == ("INVALID_ARGUMENT", {"field": "account", "value": "'core'", "expected": expected})
    assert {one.field: one.description for one in bad.field_violations} == {
        "account": f"account was 'core'; expected {expected}",
        "trades": "trades was 0 items; expected at least 1",
    }


def test_a_fault_of_ours_tells_a_number_and_nothing_else():
    with structlog.testing.capture_logs() as logged:
        status = status_of(_raised(), method="BookService/RecordTrades")
    info = detail(status, ErrorInfo)
    incident = info.metadata["incident"]
    assert (code_of(status), info.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert status.message == f"internal error; incident {incident}"
    assert set(info.metadata) == {"incident"}
    (line,) = logged
    assert (line["incident"], line["method"], line["error"]) == (incident, "BookService/RecordTrades", "RuntimeError")


def test_the_log_shows_where_it_happened_and_nothing_of_the_request():
    with structlog.testing.capture_logs() as logged:
        status = status_of(_raised(), method="m")
    (line,) = logged
    assert "_fail_inside" in line["stack"]
    assert line["stack"].index("RuntimeError") < line["stack"].index("KeyError")
    assert ACCOUNT not in str(line) + str(status)


def test_two_incidents_are_told_apart():
    first, second = (status_of(ValueError("x"), method="m").message for _ in range(2))
    assert first != second


def test_a_deadline_has_its_own_code():
    status = status_of(DeadlineExceededError(10.0), method="m")
    assert code_of(status) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "10 s" in status.message


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f4b8", "\U000e0001"], ids=["ASCII", "2 bytes", "4 bytes", "unprintable"])
def test_trailers_stay_below_what_clients_accept(letter):
    long_facts = DomainError(Reason.INVALID_RISK_PARAMETERS, letter * 5000, **{f"fact_{n}": letter * 5000 for n in range(50)})
    bad_trade = books_pb.Trade(book_id=letter * 90, quantity=letter * 90, price=letter * 90)
    bad_batch = violations(books_pb.RecordTradesRequest(request_id=letter * 200, account=letter * 90, trades=[bad_trade] * 256))
    bad_keys = {f"{n}{letter * 100}": letter * 100 for n in range(50)}
    bad_market = violations(market_pb.PublishSnapshotRequest(snapshot=market_pb.MarketSnapshot(levels=bad_keys)))
    for error in (long_facts, bad_batch, bad_market):
        assert trailer_bytes(status_of(error, method="m")) < METADATA_LIMIT


def _raised() -> Exception:
    try:
        _fail_inside(ACCOUNT)
    except RuntimeError as error:
        return error
    raise AssertionError("nothing was raised")


def _fail_inside(account: str) -> None:
    try:
        {}[account]
    except KeyError as inner:
        raise RuntimeError(f"postings of {account} do not sum to zero") from inner
