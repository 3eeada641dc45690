"""A statement's file is read whole or refused by its lines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crossmargin_cli.failures import CommandError
from crossmargin_cli.statement_file import LARGEST, read_statement_file

HEADER = "as_of,account,instrument,quantity,value,external_reference\n"
GOOD = "2026-03-02T22:00:00Z,alpha/core,USD,1000.5,1000.5,ref-1\n"


@pytest.fixture
def read(tmp_path):
    def run(text):
        file = tmp_path / "statement.csv"
        file.write_text(text, encoding="utf-8")
        return read_statement_file(file)

    return run


def test_a_statement_is_read(read):
    statement = read(HEADER + GOOD + "2026-03-02T23:00:00+01:00,clients/alpha/accounts/core,BTC,-2,,\n")
    assert statement.as_of == datetime(2026, 3, 2, 22, tzinfo=UTC)
    first, second = statement.lines
    assert (first.account, first.instrument_id, first.quantity, first.value) == ("clients/alpha/accounts/core", "USD", "1000.5", "1000.5")
    assert (second.quantity, second.value, second.external_reference) == ("-2", "", "")


def test_value_and_reference_may_be_left_out(read):
    assert read("as_of,account,instrument,quantity\n2026-03-02T22:00:00Z,alpha/core,USD,1\n").lines[0].quantity == "1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("account,instrument,quantity\n", "not a header of lines of a statement: missing as_of"),
        (HEADER.replace("value", "price"), "unknown price"),
        (HEADER, "has a header and no lines"),
        (HEADER + GOOD.replace("alpha/core", "alpha"), "line 2: account was 'alpha'; expected CLIENT/ACCOUNT"),
        (HEADER + GOOD.replace("1000.5,1000.5", "ten,"), "line 2: quantity was 'ten'; expected a plain decimal"),
        (HEADER + GOOD.replace("1000.5,1000.5", "NaN,"), "line 2: quantity was 'NaN'"),
        (HEADER + GOOD.replace("1000.5,1000.5", "1,x"), "line 2: value was 'x'"),
        (HEADER + GOOD.replace("Z", ""), "line 2: as_of was '2026-03-02T22:00:00' without a time zone"),
        (HEADER + GOOD.replace("2026-03-02T22:00:00Z", "today"), "line 2: as_of was 'today'; expected a time"),
        (HEADER + GOOD.replace("USD", ""), "line 2: instrument is empty"),
        (HEADER + GOOD + GOOD, "line 3: USD of clients/alpha/accounts/core is in line 2 already"),
        (HEADER + GOOD + "1\n", "line 3: the number of cells is not that of the header"),
        (HEADER + GOOD + GOOD.replace("22:", "21:").replace("USD", "EUR"), "line 3: as_of was 2026-03-02T21:00:00+00:00, in line 2"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(read, text, words):
    with pytest.raises(CommandError) as refused:
        read(text)
    assert words in refused.value.message


def test_every_bad_row_is_named_at_once(read):
    with pytest.raises(CommandError) as refused:
        read(HEADER + GOOD.replace("1000.5,1000.5", "x,") + GOOD.replace("USD", ""))
    assert "2 rows cannot be read and nothing was sent" in refused.value.message


def test_a_file_too_large_is_refused_with_what_to_do(read):
    rows = "".join(GOOD.replace("USD", f"X{number}") for number in range(LARGEST + 1))
    with pytest.raises(CommandError) as refused:
        read(HEADER + rows)
    assert refused.value.next_step == "split it by accounts"
