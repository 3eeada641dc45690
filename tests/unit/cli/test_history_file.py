"""Market history in a wide CSV file: columns become risk factors, percent become fractions, and nothing is guessed."""

from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal

import pytest

from crossmargin_cli.failures import CommandError
from crossmargin_cli.history_file import ColumnRules, read_history_file

NO_RULES = ColumnRules()


@pytest.fixture
def history_file(tmp_path):
    def write(*lines):
        path = tmp_path / "history.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_columns_named_after_risk_factors_are_read_as_they_are(history_file):
    history = read_history_file(history_file("date,spot:BTC,zero:USD:2Y", "2026-01-01,91000.5,0.0371", "2026-01-02,,0.0372"), NO_RULES)
    assert history.dates == (date(2026, 1, 1), date(2026, 1, 2))
    assert history.columns == {"spot:BTC": (Decimal("91000.5"), None), "zero:USD:2Y": (Decimal("0.0371"), Decimal("0.0372"))}
    assert history.level_count == 3


def test_a_gzipped_file_is_read(tmp_path, history_file):
    plain = history_file("date,spot:BTC", "2026-01-01,1")
    packed = tmp_path / "history.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_history_file(packed, NO_RULES) == read_history_file(plain, NO_RULES)


def test_columns_of_other_names_are_mapped_or_left_out(history_file):
    rules = ColumnRules(factor_of={"Bitcoin": "spot:BTC"}, ignored=frozenset({"Volume"}))
    history = read_history_file(history_file("date,Bitcoin,Volume", "2026-01-01,5,many"), rules)
    assert history.columns == {"spot:BTC": (Decimal(5),)}


def test_the_longest_name_that_fits_scales_a_column(history_file):
    rules = ColumnRules(scale_of={"zero:": Decimal("0.01"), "zero:JPY": Decimal("0.0001")})
    lines = history_file("date,zero:USD:2Y,zero:JPY:2Y,spot:BTC", "2026-01-01,3.71,92,7")
    assert [column[0] for column in read_history_file(lines, rules).columns.values()] == [Decimal("0.0371"), Decimal("0.0092"), 7]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (("date,BTC", "2026-01-01,1"), r"columns BTC are not risk factors"),
        (("date,zero:USD", "2026-01-01,1"), r"columns zero:USD are not risk factors"),
        (("date,spot:BTC,spot:BTC", "2026-01-01,1,2"), "spot:BTC appears twice"),
        (("date", "2026-01-01"), "no column of levels"),
        (("date,spot:BTC",), "no dates"),
        (("",), "is empty"),
    ],
)
def test_a_file_of_another_kind_is_refused(history_file, lines, complaint):
    with pytest.raises(CommandError, match=complaint):
        read_history_file(history_file(*lines), NO_RULES)


def test_a_rule_for_a_column_that_is_not_there_is_refused(history_file):
    with pytest.raises(CommandError, match="there is no column ETH"):
        read_history_file(history_file("date,spot:BTC", "2026-01-01,1"), ColumnRules(factor_of={"ETH": "spot:ETH"}))


BAD_ROWS = {
    "2026-01-02,x": "line 3: spot:BTC was 'x'",
    "2026-01-03,NaN": "line 4: spot:BTC was 'NaN'",
    "2026-01-04,inf": "line 5: spot:BTC was 'inf'",
    "03/05/2026,1": "line 6: date was '03/05/2026'",
    "2026-01-05": "line 7: 1 cells; the header has 2",
    "2026-01-01,1": "line 8: date 2026-01-01 does not come after 2026-01-01",
}


def test_every_bad_line_is_reported(history_file):
    with pytest.raises(CommandError) as caught:
        read_history_file(history_file("date,spot:BTC", "2026-01-01,1", *BAD_ROWS), NO_RULES)
    for complaint in BAD_ROWS.values():
        assert complaint in caught.value.message
    assert f"{len(BAD_ROWS)} lines cannot be read and nothing was sent" in caught.value.message


def test_a_scaled_level_keeps_to_the_places_of_the_wire(history_file):
    history = read_history_file(
        history_file("date,zero:USD:2Y", "2026-01-01,3.1234567890123456789"), ColumnRules(scale_of={"zero:": Decimal("0.01")})
    )
    assert history.columns["zero:USD:2Y"][0] == Decimal("0.031234567890123457")
