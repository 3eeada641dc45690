"""The shipped parameter set is complete, consistent, and says what its public sources say."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters, standard_parameters_document
from crossmargin.domain.market import RATE_KINDS, FactorId, FactorKind
from crossmargin.domain.risk_parameters import StressEvent
from crossmargin.domain.risk_parameters_document import risk_parameters_from_json
from crossmargin.engine.scenarios.stress import stress_moves

SHIPPED_HASH = "31c2991fba358377ce4a3fb968a90cc584ca7ef01061dfedb0619eecc050a537"
STABLECOINS = ("spot:RLUSD", "spot:USDC", "spot:USDT")
COINS = ("BTC", "ETH", "SOL", "XRP", "LTC", "ADA", "DOGE", "LINK", "AVAX", "BNB")


def event(name_part: str) -> StressEvent:
    (found,) = [event for event in standard_parameters().stress_events if name_part in event.name]
    return found


def move(name_part: str, factor: str) -> float:
    return float(event(name_part).moves[FactorId.parse(factor)])


def test_the_shipped_set_never_changes_under_its_name():
    """Once released, a changed set needs a new id: results stamped with the old hash could not be recomputed any more."""
    assert standard_parameters().set_id == "standard-1"
    assert standard_parameters().content_hash == SHIPPED_HASH


def test_the_hash_is_of_the_content_and_not_of_the_layout():
    relaid = json.dumps(json.loads(standard_parameters_document()), indent=7, sort_keys=True)
    assert risk_parameters_from_json(relaid).content_hash == SHIPPED_HASH
    changed = standard_parameters_document().replace('"tail_fraction": "0.025"', '"tail_fraction": "0.026"')
    assert risk_parameters_from_json(changed).content_hash != SHIPPED_HASH


def test_every_factor_of_every_event_belongs_to_an_offset_group():
    parameters = standard_parameters()
    outside = {factor.curve for event in parameters.stress_events for factor in event.moves} - set(parameters.group_of_curve)
    assert outside == set()


def test_every_default_move_names_an_asset_class_that_has_groups():
    parameters = standard_parameters()
    classes = {group.asset_class for group in parameters.offset_groups}
    assert {name for event in parameters.stress_events for name in event.default_class_moves} <= classes
    assert classes == {"CRYPTO", "FX", "FIXED_INCOME", "EQUITY_INDEX", "COMMODITY", "CREDIT"}


def test_every_proxy_leads_to_another_curve_of_the_same_kind_in_some_group():
    parameters = standard_parameters()
    for proxy in parameters.proxies:
        assert proxy.curve in parameters.group_of_curve
        assert proxy.proxy_curve in parameters.group_of_curve
        assert proxy.curve.partition(":")[0] == proxy.proxy_curve.partition(":")[0]
        assert proxy.proxy_curve not in parameters.proxy_of_curve, "a proxy of a proxy would hide how little is known"


@pytest.mark.parametrize("coin", COINS)
def test_every_large_coin_has_its_price_volatility_and_carry_in_one_group(coin):
    group_of = standard_parameters().group_of_curve
    assert {group_of[f"{kind}:{coin}"].group_id for kind in ("spot", "vol", "basis")} == {coin}


@pytest.mark.parametrize(("token", "underlying"), [("WBTC", "BTC"), ("CBBTC", "BTC"), ("WETH", "ETH"), ("STETH", "ETH"), ("WSTETH", "ETH")])
def test_wrapped_and_staked_tokens_offset_what_they_wrap_and_move_with_it_in_a_crisis(token, underlying):
    parameters = standard_parameters()
    assert parameters.group_of_curve[f"spot:{token}"].group_id == underlying
    names, shocks = stress_moves([FactorId.parse(f"spot:{token}"), FactorId.parse(f"spot:{underlying}")], parameters)
    apart = {name.removesuffix(" reversed") for name, (wrapped, bare) in zip(names, shocks, strict=True) if wrapped != bare}
    assert apart <= {"Wrapped and staked tokens at a discount of 7%"}


def test_every_stablecoin_is_a_group_of_its_own_and_shares_it_with_no_coin():
    """The twin of a stablecoin is no hedge of its fall: only the offset between groups is left, and what they match pays for it."""
    parameters = standard_parameters()
    groups = {str(coin): parameters.group_of_curve[str(coin)] for coin in STABLECOINS}
    assert len({group.group_id for group in groups.values()}) == len(STABLECOINS)
    for coin, group in groups.items():
        assert {curve for curve in group.curves if curve.startswith("spot:")} == {coin}
    assert all(tier.charge_fraction > 0 for tier in parameters.charges.basis.stablecoin_tiers)


def test_every_coin_falls_in_the_crisis_that_takes_all_of_them_with_it():
    coins = [FactorId.parse(f"spot:{coin}") for coin in (*COINS, "BCH", "DOT", "XLM", "WBTC", "STETH")]
    names, shocks = stress_moves(coins, standard_parameters())
    together = shocks[names.index("All crypto falls as one by 40%")]
    assert together == pytest.approx([np.log(0.6)] * len(coins))
    assert shocks[names.index("All crypto falls as one by 40% reversed")] == pytest.approx(-together)
    intraday = shocks[names.index("Crypto liquidations, 2025-10-10 (intraday low)")][2:13]
    assert np.exp(intraday) - 1.0 == pytest.approx([-0.6, -0.55] + [-0.6] * 4 + [-0.7] + [-0.6] * 4)


def test_no_stablecoin_falls_with_the_coins_by_a_class_default():
    """Stablecoins are of the class CRYPTO, so an event with a default for that class must name each of them."""
    for crisis in standard_parameters().stress_events:
        if "CRYPTO" in crisis.default_class_moves:
            assert {str(factor) for factor in crisis.moves} >= set(STABLECOINS), crisis.name


def test_every_fiat_stablecoin_falls_at_once_in_the_depeg():
    """USDC traded at 0.8789 on 2023-03-11: 12.1% below one dollar."""
    assert {move("depeg", coin) for coin in STABLECOINS} == {-0.121}


def test_every_hypothetical_event_comes_in_both_directions_and_no_crisis_does():
    for one in standard_parameters().stress_events:
        assert one.both_directions == (one.source == "house"), one.name


def test_the_crises_a_prime_broker_is_asked_about_are_there():
    for part in (
        "Covid, 2020-03-12",
        "2021-05-19",
        "Terra, 2022-05",
        "FTX, 2022-11",
        "depeg, 2023-03-11",
        "2015-01-14",
        "Gilts, 2022-09",
        "banks, 2023-03",
        "2025-10-10 (intraday",
        "as one by 40%",
        "All curves +100 bp",
        "volatilities doubled",
        "RLUSD -12%",
        "below zero, 2020-04-20",
        "Credit spreads",
    ):
        assert event(part).name.count(part) == 1


def test_a_price_below_zero_moves_by_dollars():
    """West Texas crude at Cushing closed at 18.31 USD on 2020-04-17 and at -36.98 on 2020-04-20, the next business day."""
    assert move("Oil below zero", "price:WTI:1M") == pytest.approx(-36.98 - 18.31)


def test_dollar_yen_becomes_the_dollar_price_of_a_yen():
    """USD/JPY fell 5.7% from 2024-08-01 to 2024-08-05, so a yen rose by 1/0.943 - 1."""
    assert move("Yen carry", "fx:JPY") == pytest.approx(1 / (1 - 0.057) - 1, abs=1e-3)


def test_euro_franc_and_euro_dollar_become_the_dollar_price_of_a_franc():
    """From 2015-01-14 to 2015-01-16 EUR/CHF fell 15.7% and EUR/USD 1.6%; USD/CHF fell 14.3%."""
    assert move("Franc floor ends", "fx:CHF") == pytest.approx((1 - 0.016) / (1 - 0.157) - 1, abs=1.5e-3)
    assert move("Franc floor ends", "fx:CHF") == pytest.approx(1 / (1 - 0.143) - 1, abs=1.5e-3)


def test_basis_points_become_fractions():
    """Gilts: the ten-year zero rate rose 106.5 bp from 2022-09-21 to 2022-09-27. Two-year Treasuries fell 102 bp in March 2023."""
    assert move("Gilts, 2022", "zero:GBP:10Y") == pytest.approx(0.01065, abs=1e-4)
    assert move("Regional banks", "zero:USD:2Y") == -0.0102


def test_the_volatility_index_becomes_the_one_month_node_and_moves_the_one_year_node_less():
    """The VIX rose 107.5% to 2024-08-05; the one-year node takes 0.3 of the log move."""
    assert move("Yen carry", "vol:SPX:1M") == pytest.approx(1.075)
    assert move("Yen carry", "vol:SPX:1Y") == pytest.approx(2.075**0.3 - 1, abs=1e-3)


def test_no_move_takes_a_price_below_zero_or_a_rate_out_of_reason():
    for one in standard_parameters().stress_events:
        for factor, size in one.moves.items():
            if factor.kind in RATE_KINDS:
                assert abs(size) <= Decimal("0.15"), (one.name, factor)
            elif factor.kind is FactorKind.PRICE:
                assert abs(size) <= 60, (one.name, factor)
            else:
                assert size > Decimal("-0.75"), (one.name, factor)


def test_names_of_events_are_unique_and_crises_are_in_the_order_of_their_dates():
    names = [one.name for one in standard_parameters().stress_events]
    assert len(set(names)) == len(names)
    days = [first_day(one.name) for one in standard_parameters().stress_events if not one.both_directions]
    assert days == sorted(days)


def test_the_crisis_windows_are_in_order_and_apart_and_each_names_its_days():
    windows = standard_parameters().crisis_windows
    assert [window.name for window in windows] == [
        "September 2008",
        "January 2015",
        "June 2016",
        "December 2017",
        "March 2020",
        "January 2021",
        "May 2021",
        "May 2022",
        "June 2022",
        "September 2022",
        "November 2022",
        "March 2023",
        "August 2024",
        "April 2025",
        "October 2025",
    ]
    assert all(earlier.last_day < later.first_day for earlier, later in pairwise(windows))
    assert all(window.days for window in windows)


def test_events_and_days_of_crises_are_at_least_250_stress_scenarios():
    parameters = standard_parameters()
    events = sum(1 + event.both_directions for event in parameters.stress_events)
    assert events + sum(len(window.days) for window in parameters.crisis_windows) >= 250


def test_every_event_that_happened_says_when_it_was_over_and_no_hypothetical_one_does():
    """A backtest leaves out what was still to come: 2022-05-06..12 was over on the 12th."""
    for one in standard_parameters().stress_events:
        assert (one.last_day is None) == one.both_directions, one.name
        if one.last_day is not None:
            (words,) = [word.strip("(),") for word in one.name.split() if word[:4].isdigit() and word.count("-") == 2][:1]
            assert words[8:].endswith(f"{one.last_day.day:02d}"), one.name
            assert one.last_day >= first_day(one.name)


def test_the_event_of_a_window_happened_in_it():
    """Its published moves stand in for factors without history, so they must be of the same days."""
    for window in standard_parameters().crisis_windows:
        assert window.event is not None
        assert window.first_day <= first_day(window.event) <= window.last_day, window.name


def first_day(name: str) -> date:
    words = [word.strip("(),.")[:10] for word in name.split()]
    return next(date.fromisoformat(word) for word in words if word[:4].isdigit() and word.count("-") == 2)


@pytest.mark.parametrize(
    ("row", "residual", "flat"),
    [
        ("USD", "0", ["0"]),
        ("G10_CASH", "0", ["0"]),
        ("BILL", "0.0025", ["0.005", "0.02", "0.04"]),
        ("TREASURY", "0.0025", ["0.005", "0.02", "0.04"]),
        ("IG_BOND", "0.01", ["0.01", "0.04", "0.08"]),
        ("EQUITY_INDEX", "0.02", ["0.15"]),
        ("GOLD", "0.01", ["0.15"]),
        ("BTC", "0.02", ["0.20"]),
        ("ETH", "0.03", ["0.25"]),
        ("LARGE_ALT", "0.05", ["0.35"]),
        ("REGULATED_STABLECOIN", "0.02", ["0.02"]),
        ("OTHER_STABLECOIN", "0.05", ["0.10"]),
    ],
)
def test_the_haircut_schedule_is_the_published_one(row, residual, flat):
    terms = standard_parameters().haircut_schedule[row]
    assert terms.residual_haircut_fraction == Decimal(residual)
    assert [band.tiers[0].haircut_fraction for band in terms.bands] == [Decimal(haircut) for haircut in flat]


def test_what_counts_of_a_coin_ends_and_what_counts_of_dollars_does_not():
    schedule = standard_parameters().haircut_schedule
    assert schedule["BTC"].bands[0].tiers[-1].up_to == Decimal(1_000_000_000)
    assert schedule["USD"].bands[0].tiers[-1].up_to is None
    assert schedule["REGULATED_STABLECOIN"].share_limit_fraction == Decimal("0.40")
    assert {row for row, terms in schedule.items() if terms.has_fx_mismatch} == {"G10_CASH", "BILL", "TREASURY", "IG_BOND"}


def test_the_haircut_schedule_is_the_one_that_the_methodology_prints():
    """Residual and flat haircuts in percent, flat by maturity, then the limits."""
    schedule = {
        name: (
            float(row.residual_haircut_fraction) * 100,
            [float(band.tiers[0].haircut_fraction) * 100 for band in row.bands],
            row.share_limit_fraction,
            row.supply_limit_fraction,
        )
        for name, row in standard_parameters().haircut_schedule.items()
    }
    assert schedule == {
        "USD": (0, [0], None, None),
        "G10_CASH": (0, [0], None, None),
        "BILL": (0.25, [0.5, 2, 4], None, None),
        "TREASURY": (0.25, [0.5, 2, 4], None, None),
        "IG_BOND": (1, [1, 4, 8], None, None),
        "EQUITY_INDEX": (2, [15], None, None),
        "GOLD": (1, [15], None, None),
        "BTC": (2, [20], None, None),
        "ETH": (3, [25], None, None),
        "LARGE_ALT": (5, [35], None, None),
        "REGULATED_STABLECOIN": (2, [2], Decimal("0.40"), Decimal("0.01")),
        "OTHER_STABLECOIN": (5, [10], Decimal("0.20"), None),
    }


def test_what_is_limited_by_its_supply_has_one():
    parameters = standard_parameters()
    assert parameters.haircut_schedule["REGULATED_STABLECOIN"].supply_limit_fraction is not None
    assert set(parameters.circulating_supply) == {"spot:RLUSD", "spot:USDC"}
