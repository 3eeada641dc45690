"""What was settled is a line for each account, however many parts it came in."""

from __future__ import annotations

from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin_cli.lifecycle import settlement_lines


def a_part(account, first, last):
    return pb.SettleTradesResponse(account=f"clients/alpha/accounts/{account}", trade_seqs=range(first, last + 1), as_of_seq=1000 + last)


def test_parts_of_an_account_are_one_line_with_its_last_entry():
    parts = [a_part("core", 1, 100), a_part("core", 101, 200), a_part("core", 201, 230), a_part("satellite", 7, 7)]
    assert settlement_lines(parts) == [
        "alpha/core: 230 trades settled, up to entry 1230",
        "alpha/satellite: 1 trade settled, up to entry 1007",
    ]


def test_nothing_settled_is_no_line():
    assert settlement_lines([]) == []
