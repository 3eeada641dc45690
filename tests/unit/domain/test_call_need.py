"""What a margin result says that has to be delivered, and what of it has come."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.book import EntryKind
from crossmargin.domain.call_agreement import house_agreement
from crossmargin.domain.call_life import CallTrigger
from crossmargin.domain.call_need import DELIVERIES, call_standing, delivered_value, may_be_called, needed_delivery
from crossmargin.domain.identifiers import ClientId, InstrumentId
from crossmargin.domain.margin import Band, CollateralLine, DataQuality
from crossmargin.domain.margin_call import CallTerms
from tests.builders import risk_parameters
from tests.unit.adapters.prometheus.results import a_result

D = Decimal
LINES = risk_parameters().bands
PLAIN = CallTerms(D(0), D(0), D(0))
QUALITY = DataQuality((), D("0.5"), D("1.5"), D(-900), D(-50), Band.HEALTHY, Band.LIQUIDATION, may_liquidate=True)


def result_of(equity, maintenance, *, initial=None, quality=None):
    result = a_result(equity=equity, market_requirement=maintenance, initial_margin=initial or str(D(maintenance) * D("1.25")))
    return replace(result, quality=quality)


def needed(result, *, terms=PLAIN, trigger=CallTrigger.BAND):
    return needed_delivery(result, terms, LINES, trigger)


@pytest.mark.parametrize(
    ("equity", "maintenance", "expected"),
    [
        ("1000", "800", "0"),
        ("999.99", "800", "0.01"),
        ("900", "800", "100"),
        ("0", "800", "1000"),
        ("-50", "800", "1050"),
        ("900", "0", "0"),
    ],
)
def test_what_brings_utilization_back_to_the_line_is_needed_and_equity_below_zero_too(equity, maintenance, expected):
    assert needed(result_of(equity, maintenance)) == D(expected)


def test_the_agreement_rounds_up_and_leaves_small_amounts_be():
    short = result_of("900", "800")
    assert needed(short, terms=CallTerms(D(0), D(101), D(0))) == 0
    assert needed(short, terms=CallTerms(D(0), D(100), D(30))) == 120
    assert needed(short, terms=CallTerms(D(50), D(0), D(0))) == 50


def test_by_schedule_the_initial_margin_is_asked_for_with_all_that_only_new_risk_has_to_cover():
    result = result_of("1000", "700", initial="1100")
    assert needed(result) == 0
    assert needed(result, trigger=CallTrigger.SCHEDULE) == 100


def test_in_doubt_no_more_is_asked_for_than_is_missing_at_the_best_end():
    short = result_of("500", "800")
    assert needed(replace(short, quality=QUALITY)) == 50
    assert needed(replace(short, quality=replace(QUALITY, excess_to_initial_high=D(-5000)))) == 500
    assert needed(replace(short, quality=replace(QUALITY, excess_to_initial_high=D(10)))) == 0
    assert needed(replace(short, quality=replace(QUALITY, excess_to_initial_high=None))) == 0, "nobody knows what is missing"


def a_line(name, quantity, value):
    return CollateralLine(InstrumentId(name), None, D(quantity), D(value), D(0), D(0), D(value), D(0), D(0))


def test_a_delivery_counts_what_it_adds_to_equity():
    result = result_of("1000", "800")
    lines = (a_line("RLUSD", "1000", "980"), a_line("BTC", "2", "80000"), a_line("EUR", "-100", "-110"))
    held = replace(result, equity=replace(result.equity, lines=lines))
    value = {
        "RLUSD": delivered_value({InstrumentId("RLUSD"): D(500)}, held),
        "both": delivered_value({InstrumentId("RLUSD"): D(500), InstrumentId("BTC"): D("-0.01")}, held),
        "debt": delivered_value({InstrumentId("EUR"): D(50)}, held),
        "gone": delivered_value({InstrumentId("ETH"): D(5)}, held),
        "dollars": delivered_value({InstrumentId("USD"): D("7.005")}, held),
    }
    assert value == {"RLUSD": D(490), "both": D(90), "debt": D(55), "gone": D(0), "dollars": D(7)}
    assert delivered_value({}, held) is None


def test_what_a_haircut_or_a_limit_takes_is_not_delivered():
    """A hundred coins of 400 dollars of which 300 count in equity: ten more are 30 dollars."""
    result = result_of("1000", "800")
    line = replace(a_line("SOL", "100", "400"), value_in_equity=D(300))
    held = replace(result, equity=replace(result.equity, lines=(line,)))
    assert delivered_value({InstrumentId("SOL"): D(10)}, held) == 30


def test_a_call_is_needed_until_the_band_is_left_and_pressed_only_by_what_is_so_now():
    remembered = BandState(Band.MARGIN_CALL)
    agreement = house_agreement(ClientId("alpha"))
    standing = call_standing(result_of("1010", "800"), remembered, agreement, LINES, trigger=CallTrigger.BAND, delivered=None)
    assert (standing.is_called_for, standing.is_past_the_line, standing.needed) == (True, False, 0)
    gone = replace(a_result(band=Band.LIQUIDATION), quality=replace(QUALITY, is_provisional=True))
    standing = call_standing(gone, BandState(Band.LIQUIDATION), agreement, LINES, trigger=CallTrigger.BAND, delivered=D(1))
    assert (standing.is_past_the_line, standing.is_provisional, standing.delivered) == (True, True, D(1))
    scheduled = call_standing(result_of("1010", "800"), remembered, agreement, LINES, trigger=CallTrigger.SCHEDULE, delivered=None)
    assert not scheduled.is_called_for


def test_a_band_that_is_only_remembered_presses_nobody_and_confirmed_data_is_not_provisional():
    agreement = house_agreement(ClientId("alpha"))
    back = replace(a_result(band=Band.MARGIN_CALL), quality=QUALITY)
    standing = call_standing(back, BandState(Band.LIQUIDATION), agreement, LINES, trigger=CallTrigger.BAND, delivered=None)
    assert (standing.is_called_for, standing.is_past_the_line, standing.is_provisional) == (True, False, False)
    better = a_result(band=Band.AT_RISK)
    standing = call_standing(better, BandState(Band.MARGIN_CALL), agreement, LINES, trigger=CallTrigger.BAND, delivered=None)
    assert standing.is_called_for, "it has not left the band by more than the hysteresis"


def test_at_the_initial_margin_to_the_cent_nobody_is_short():
    agreement = house_agreement(ClientId("alpha"))
    exact, short = (result_of(equity, "700", initial="1000") for equity in ("1000", "999.99"))
    called = [
        call_standing(result, BandState(Band.AT_RISK), agreement, LINES, trigger=CallTrigger.SCHEDULE, delivered=None).is_called_for
        for result in (exact, short)
    ]
    assert called == [False, True]


def test_what_moves_in_and_out_by_itself_is_delivered_and_what_a_trade_or_an_event_moves_is_not():
    assert {EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.TRANSFER} == DELIVERIES


@pytest.mark.parametrize(
    ("equity", "maintenance", "terms", "expected"),
    [
        # By hand: maintenance / 0.8 is what equity has to be; what is missing, at least the minimum, up to the next unit.
        ("7600000", "6400000", (0, 500_000, 10_000), 0),  # 8,000,000 needed, 400,000 missing: below the minimum
        ("7500000", "6400000", (0, 500_000, 10_000), 500_000),  # exactly the minimum moves
        ("7499999.99", "6400000", (0, 500_000, 10_000), 510_000),  # a cent more is the next unit
        ("7123456.78", "6400000", (0, 0, 0), "876543.22"),  # without terms to the cent
        ("7123456.78", "6400000", (250_000, 100_000, 1_000), 627_000),  # 626,543.22 above the threshold
        ("7900000", "6400000", (250_000, 0, 0), 0),  # 100,000 missing, all of it below the threshold: not asked for, nor returned
        ("1", "0.01", (0, 0, 1_000), 0),
        ("0.01", "0.01", (0, 0, 1_000), 1_000),  # 0.02 needed, 0.01 missing: a whole unit
        ("0", "333.33", (0, 0, 0), "416.67"),  # 416.6625, up to the cent
        ("-100.01", "333.33", (0, 0, 100), 600),  # 416.67 + 100.01 = 516.68
    ],
)
def test_ten_calls_by_hand(equity, maintenance, terms, expected):
    assert needed(result_of(equity, maintenance), terms=CallTerms(*map(D, terms))) == D(expected)


def test_an_isolated_account_is_closed_and_never_called():
    assert may_be_called(AccountMode.CROSS)
    assert not may_be_called(AccountMode.ISOLATED)
