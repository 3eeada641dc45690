"""What a client makes of the answer to a message of trades."""

from __future__ import annotations

import grpc
import pytest

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client import Busy, trades_of
from crossmargin_client.errors import InternalError
from crossmargin_client.streamed_trades import recorded_again, streamed_trades

MESSAGE = trades_of("clients/alpha/accounts/core", request_id="asked")


def refused(code, request_id="asked"):
    refusal = book_service_pb2.RecordRefusal(code=code.value[0], reason="SERVICE_BUSY", message="later")
    return book_service_pb2.StreamTradesResponse(request_id=request_id, refusal=refusal)


def test_an_answer_to_another_message_is_nobodys():
    with pytest.raises(InternalError, match="'asked' names request 'another'"):
        streamed_trades(MESSAGE, refused(grpc.StatusCode.UNAVAILABLE, request_id="another"))


def test_a_message_that_could_not_be_read_is_answered_without_a_name():
    assert isinstance(streamed_trades(MESSAGE, refused(grpc.StatusCode.RESOURCE_EXHAUSTED, request_id="")).error, Busy)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED])
def test_what_is_refused_for_the_moment_is_sent_again(code):
    assert recorded_again(MESSAGE, refused(code)) is not None


def test_nothing_else_is():
    recorded = book_service_pb2.StreamTradesResponse(request_id="asked", recorded=book_service_pb2.RecordTradesResponse())
    assert recorded_again(MESSAGE, recorded) is None
    assert recorded_again(MESSAGE, refused(grpc.StatusCode.FAILED_PRECONDITION)) is None
    assert recorded_again(MESSAGE, refused(grpc.StatusCode.DEADLINE_EXCEEDED)) is None
