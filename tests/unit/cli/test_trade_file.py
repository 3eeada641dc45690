"""Trades in a CSV file: every bad row is named, and the same file always makes the same requests."""

from __future__ import annotations

import pytest

from crossmargin_cli.csv_file import BadRowsError
from crossmargin_cli.failures import CommandError
from crossmargin_cli.trade_file import BATCH_SIZE, batches, read_trade_file

HEADER = "book,instrument,quantity,price,settlement,executed_at,reference"
GOOD = "main,BTC,1.5,91000,USD,2026-11-20T16:00:00Z,t-1"


@pytest.fixture
def csv_file(tmp_path):
    def write(*lines, name="trades.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write


def test_a_row_becomes_a_trade_with_its_line(csv_file):
    file = read_trade_file(csv_file(HEADER, GOOD, "", "desk-2,BTC-PERP,-2,91000.5,,2026-11-20T17:00:00+01:00,"))
    assert [line.line for line in file.lines] == [2, 4]
    first, second = (line.trade for line in file.lines)
    assert (first.book_id, first.instrument_id, first.quantity, first.price, first.settlement) == ("main", "BTC", "1.5", "91000", "USD")
    assert first.execute_time == second.execute_time
    assert (second.quantity, second.settlement, second.reference) == ("-2", "", "")


def test_columns_may_come_in_any_order_and_optional_ones_may_be_missing(csv_file):
    file = read_trade_file(csv_file("price,executed_at,quantity,instrument", "91000,2026-11-20T16:00:00Z,1,BTC"))
    assert file.lines[0].trade.instrument_id == "BTC"


def test_a_file_saved_by_a_spreadsheet_is_read(csv_file):
    path = csv_file(HEADER, GOOD, encoding="utf-8-sig")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read_trade_file(path).lines) == 1


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("book,instrument,quantity", "missing price, executed_at"),
        (HEADER + ",fee", "unknown fee"),
        (HEADER + ",book", "a column appears twice"),
        (GOOD, "missing instrument, quantity, price, executed_at"),
        ("", "missing instrument"),
    ],
)
def test_a_header_of_another_kind_is_refused(csv_file, header, complaint):
    with pytest.raises(CommandError, match=complaint):
        read_trade_file(csv_file(header, GOOD))


BAD_ROWS = {
    "main,BTC,one,91000,USD,2026-11-20T16:00:00Z,": "quantity was 'one'; expected a decimal",
    "main,BTC,1,NaN,USD,2026-11-20T16:00:00Z,": "price was NaN; expected a finite number",
    "main,BTC,,91000,USD,2026-11-20T16:00:00Z,": "quantity is empty",
    "main,BTC,1,91000,USD,2026-11-20T16:00:00,": "without a time zone; write 2026-11-20T16:00:00Z for UTC",
    "main,BTC,1,91000,USD,yesterday,": "executed_at was 'yesterday'",
    "main,BTC,1": "the number of cells is not that of the header",
    GOOD + ",surplus": "the number of cells is not that of the header",
}


def test_every_bad_row_is_reported_with_its_line_and_reason(csv_file):
    with pytest.raises(BadRowsError) as caught:
        read_trade_file(csv_file(HEADER, GOOD, *BAD_ROWS, GOOD))
    assert len(caught.value.faults) == len(BAD_ROWS)
    for line, (fault, complaint) in enumerate(zip(caught.value.faults, BAD_ROWS.values(), strict=True), start=3):
        assert fault.startswith(f"line {line}: ")
        assert complaint in fault
        assert fault in caught.value.message


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"book,instrument\n\xff"])
def test_what_is_not_text_is_refused(tmp_path, content):
    path = tmp_path / "trades.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError, match="is not UTF-8 text"):
        read_trade_file(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        read_trade_file(tmp_path / "absent.csv")


def test_a_file_without_trades_is_refused(csv_file):
    with pytest.raises(CommandError, match="no trades"):
        read_trade_file(csv_file(HEADER))


def test_batches_hold_every_trade_in_order_and_no_more_than_the_service_takes(csv_file):
    file = read_trade_file(csv_file(HEADER, *[GOOD] * (2 * BATCH_SIZE + 1)))
    cut = list(batches(file, account="clients/a/accounts/b"))
    assert [len(lines) for _, lines in cut] == [BATCH_SIZE, BATCH_SIZE, 1]
    assert tuple(line for _, lines in cut for line in lines) == file.lines
    assert len({request_id for request_id, _ in cut}) == 3


def test_the_same_file_has_the_same_request_ids_and_another_file_or_account_has_others(csv_file):
    def ids(path, account="clients/a/accounts/b"):
        return [request_id for request_id, _ in batches(read_trade_file(path), account=account)]

    path = csv_file(HEADER, GOOD)
    assert ids(path) == ids(csv_file(HEADER, GOOD, name="copy.csv"))
    assert ids(path) != ids(csv_file(HEADER, GOOD, GOOD, name="longer.csv"))
    assert ids(path) != ids(path, account="clients/a/accounts/c")


def test_a_trade_may_settle_on_a_later_day(csv_file):
    file = read_trade_file(csv_file(HEADER + ",settle_date", GOOD + ",2026-11-24", GOOD + ","))
    first, second = (line.trade for line in file.lines)
    assert (first.settle_date.year, first.settle_date.month, first.settle_date.day) == (2026, 11, 24)
    assert not second.HasField("settle_date")
    with pytest.raises(BadRowsError, match="settle_date was 'soon'; expected a day such as 2026-11-24, or nothing"):
        read_trade_file(csv_file(HEADER + ",settle_date", GOOD + ",soon"))
