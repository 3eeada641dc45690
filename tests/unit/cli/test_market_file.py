"""A whole market in a CSV file."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossmargin_cli.csv_file import BadRowsError
from crossmargin_cli.failures import CommandError
from crossmargin_cli.market_file import read_market_file


def written(tmp_path, text):
    path = tmp_path / "market.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_factors_and_marks_are_told_apart_by_the_colon(tmp_path):
    path = written(tmp_path, "subject,value\nspot:BTC,91400\nprice:WTI:1M,-3.5\nBTC-USD-PERP,91436.60\n")
    assert read_market_file(path) == (
        {"spot:BTC": Decimal(91400), "price:WTI:1M": Decimal("-3.5")},
        {"BTC-USD-PERP": Decimal("91436.60")},
    )


def test_every_bad_row_is_named_and_nothing_is_read(tmp_path):
    path = written(tmp_path, "subject,value\nspot:BTC,91400\n,1\nspot:ETH,nan\nspot:SOL,x\nspot:BTC,91401\nspot:XRP,1,2\n")
    with pytest.raises(BadRowsError) as failure:
        read_market_file(path)
    assert failure.value.faults == (
        "line 3: subject is empty",
        "line 4: value was 'nan'; expected a plain decimal such as -1250.75",
        "line 5: value was 'x'; expected a plain decimal such as -1250.75",
        "line 6: spot:BTC appears twice",
        "line 7: the number of cells is not that of the header",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a header of values: missing subject, value"),
        ("subject,price\n", "missing value; unknown price"),
        ("subject,value\n", "has a header and no values"),
    ],
)
def test_what_is_no_market_is_refused(tmp_path, text, said):
    with pytest.raises(CommandError, match=said):
        read_market_file(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"gone\.csv cannot be read"):
        read_market_file(tmp_path / "gone.csv")
