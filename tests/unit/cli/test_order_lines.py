"""What is said of each line of a file of orders."""

from __future__ import annotations

from decimal import Decimal

import grpc
import pytest

from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.order_lines import answer_line, order_from_line
from crossmargin_client import PreconditionFailed, StreamedPreview

ASKED = pb.StreamPreviewsRequest(correlation_id="7")


def answered(*, acceptable):
    need = pb.MarginNeed(initial_margin="10", excess="-1234.5", least_excess="-2000")
    return StreamedPreview(ASKED, pb.PreviewTradesResponse(acceptable=acceptable, need_after=need), None)


def test_a_line_says_which_way_and_what():
    assert (order_from_line(" buy BTC 2.5 \n").quantity, order_from_line("sell BTC 2.5").quantity) == (Decimal("2.5"), Decimal("-2.5"))


@pytest.mark.parametrize("line", ["BTC 2.5", "Buy BTC 2.5", "buy", "buy a lot"])
def test_a_line_that_is_no_order_is_said_in_words(line):
    with pytest.raises(MisuseError, match="expected"):
        order_from_line(line)


def test_an_answer_is_a_line_with_the_number_of_its_order():
    assert answer_line(answered(acceptable=True)) == "7  acceptable, excess at worst -1,234.50"
    assert answer_line(answered(acceptable=False)) == "7  not acceptable, excess at worst -1,234.50"
    error = PreconditionFailed("nothing there", reason="NO_MARKET_SNAPSHOT", code=grpc.StatusCode.FAILED_PRECONDITION)
    assert answer_line(StreamedPreview(ASKED, None, error)) == "7  failed: NO_MARKET_SNAPSHOT: nothing there"
