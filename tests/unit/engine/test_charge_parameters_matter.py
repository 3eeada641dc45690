"""Every parameter of the charges moves a result at both ends of its range; one that moves nothing has no place in the set."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest

from crossmargin.domain.charge_parameters import ChargeParameters
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Stablecoin
from crossmargin.domain.market_building import followed_pegs
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_market
from tests.builders import a_haircut_row, a_portfolio, cash, charges_document, stablecoin
from tests.charge_books import a_market, issuers, parameters
from tests.parameter_leaves import leaves
from tests.unit.engine.revaluation.markets import AS_OF, ASSETS, GROUPS, a_snapshot, revalue, scenarios
from tests.unit.engine.revaluation.markets import parameters as revaluation_parameters

BASIS = {"perpetual_fraction": "0.01", "dated_fraction": "0.02"}
RATES = {name: [{"up_to_years": None, "rate_fraction": "0.1"}] for name in ("CRYPTO", "FX", "FIXED_INCOME")}
FLOOR = {"floor_fraction": "1", "in_scope": ["FX_FORWARD"], "rates": RATES}
LARGE = {"average_daily_volume": "1000"}
BOUGHT_AND_SOLD = {"FORWARD": 1000}


class Ends(NamedTuple):
    """A book whose margin differs between the lowest, a middle and the highest value of one parameter."""

    holdings: dict[str, object]
    charges: list[dict[str, object]]
    usdc_price: float = 1.0


def _liquidity(name, *values):
    rows = {"BTC": LARGE | {"spread_fraction": "0.01"}}
    return Ends({"BTC": 100}, [{"liquidity": {name: value}, "rows": rows} for value in values])


def _row(name, *values, **others):
    return Ends({"BTC": 100}, [{"rows": {"BTC": {name: value} | others}} for value in values])


def _basis(*changes):
    return Ends({"BTC": 10, "PERP": (-4, -400), "FUTURE": (-3, -300)}, [{"basis": BASIS | change} for change in changes])


def _tiers(*tiers):
    return Ends({"USDC": 1000, "RLUSD": -1000}, [{"basis": {"stablecoin_tiers": list(tier)}} for tier in tiers])


def _tier(up_to, fraction):
    return {"up_to": up_to, "charge_fraction": fraction}


def _depeg(price, *changes):
    base = {"mild_price": "0.99", "haircut_slope": "4", "ineligible_price": "0.95"}
    return Ends({"USDC": 1000}, [{"depeg": base | change} for change in changes], price)


def _floor(*changes):
    return Ends(BOUGHT_AND_SOLD, [{"schedule_floor": FLOOR | change} for change in changes])


def _rates(*bands):
    return _floor(*({"rates": RATES | {"FX": list(band)}} for band in bands))


def _band(up_to_years, rate):
    return {"up_to_years": up_to_years, "rate_fraction": rate}


ENDS = {
    "liquidity.spread_multiple": _liquidity("spread_multiple", "0", "2", "100"),
    "liquidity.base_days": _liquidity("base_days", "0", "0.3", "30"),
    "liquidity.participation_fraction": _liquidity("participation_fraction", "0.000001", "0.2", "1"),
    "basis.perpetual_fraction": _basis({"perpetual_fraction": "0"}, {}, {"perpetual_fraction": "0.02"}),
    "basis.dated_fraction": _basis({"dated_fraction": "0.01"}, {}, {"dated_fraction": "1"}),
    "basis.stablecoin_tiers.up_to": _tiers(*([_tier(end, "0"), _tier(None, "0.1")] for end in ("0.01", "500", "999"))),
    "basis.stablecoin_tiers.charge_fraction": _tiers(*([_tier(None, fraction)] for fraction in ("0", "0.02", "1"))),
    "short_option_fraction": Ends({"CALL": -10}, [{"short_option_fraction": value} for value in ("0", "0.01", "1")]),
    "depeg.mild_price": _depeg(0.96, {"mild_price": "0.95"}, {}, {"mild_price": "1"}),
    "depeg.haircut_slope": _depeg(0.96, {"haircut_slope": "0"}, {}, {"haircut_slope": "20"}),
    "depeg.ineligible_price": _depeg(0.96, {"ineligible_price": "0"}, {"ineligible_price": "0.97"}),
    "schedule_floor.floor_fraction": _floor({"floor_fraction": "0"}, {"floor_fraction": "0.5"}, {"floor_fraction": "1"}),
    "schedule_floor.gross_fraction": Ends(
        {"FORWARD": -1000, "FORWARD-2": 900},
        [{"schedule_floor": FLOOR | {"gross_fraction": value}} for value in ("0", "0.4", "1")],
    ),
    "schedule_floor.in_scope": _floor({"in_scope": []}, {}),
    "schedule_floor.rates.up_to_years": _rates(*([_band(end, "0.1"), _band(None, "0.5")] for end in ("0.5", "1"))),
    "schedule_floor.rates.rate_fraction": _rates(*([_band(None, rate)] for rate in ("0", "0.06", "1"))),
    "groups.spread_fraction": _row("spread_fraction", "0", "0.01", "1"),
    "groups.average_daily_volume": _row("average_daily_volume", "0.01", "1000", "10000000"),
    "groups.minimum_rate_fraction": _row("minimum_rate_fraction", "0", "0.5", "1"),
    "issuers.is_own_issue": Ends({"RLUSD": 1000}, [{"issuers": issuers(is_own_issue=flag)} for flag in (False, True)]),
    "issuers.collateral_limit": Ends({"RLUSD": 1000}, [{"issuers": issuers(collateral_limit=limit)} for limit in ("0", "500", None)]),
}
IDENTITIES = {"groups.group_id", "issuers.issuer_id"}
"""Names, which mean nothing by themselves."""
ELSEWHERE = {"issuers.moves", "depeg.slow_rise_per_day", "depeg.longest_hours", "depeg.recovery_hours"}
"""They reach the charges through the revaluation, and through what a snapshot remembers; the last tests are theirs."""


def test_every_parameter_of_the_schema_has_its_case():
    assert leaves(ChargeParameters) == set(ENDS) | IDENTITIES | ELSEWHERE


@pytest.mark.parametrize("name", sorted(ENDS))
def test_a_parameter_moves_the_margin_at_both_ends(name):
    case = ENDS[name]
    results = [
        compute_margin(a_portfolio(case.holdings), a_market(usdc=case.usdc_price), parameters(**charges)) for charges in case.charges
    ]
    figures = [(result.requirement.maintenance_margin, result.requirement.initial_margin, result.equity.equity) for result in results]
    assert len(set(figures)) == len(figures), figures


@pytest.mark.parametrize(("low", "high"), [("-0.999", "-0.01"), ("-0.5", "1")])
def test_the_moves_of_an_issuer_group_move_the_joint_shock(low, high):
    def shock(move):
        issuer = [{"issuer_id": "X", "is_own_issue": False, "moves": {"spot:BTC": move}}]
        return revalue(ASSETS, a_snapshot(), {}, charges=charges_document(GROUPS, issuers=issuer)).issuer_leg_pnl

    assert shock(low).tolist() != shock(high).tolist()


HOUR = timedelta(hours=1)
PEGGED = {"mild_price": "0.99", "haircut_slope": "0", "ineligible_price": "0.95"}


def _after(*prices, **depeg):
    """Equity of 1,000 stablecoins after their price was this at these hours."""
    rules, snapshot = parameters_with(charges_document(GROUPS, depeg=PEGGED | depeg)), None
    coins = {InstrumentId("USDC"): Stablecoin("USD", "CIRCLE")}
    for hours, price in prices:
        now = a_snapshot({"spot:USDC": price}, as_of=AS_OF + hours * HOUR)
        snapshot = replace(now, pegs=followed_pegs(now, snapshot, coins, rules.charges.depeg))
    book = [cash("USD"), stablecoin("USDC", collateral_class="STABLE")]
    market = revalue_market(book, snapshot, scenarios(snapshot, {}), rules)
    return compute_margin(a_portfolio({"USDC": 1000}), market, rules).equity.equity


def parameters_with(charges):
    rows = [a_haircut_row("USD"), a_haircut_row("STABLE", residual="0", flat="0")]
    return revaluation_parameters(charges=charges, haircut_schedule=rows)


def test_a_slow_price_that_rises_faster_counts_for_more_at_every_step_of_its_range():
    day = ((0, "0.955"), (24, "1"))
    counted = [_after(*day, slow_rise_per_day=rise) for rise in ("0.000001", "0.02", "1", None)]
    assert [float(each) for each in counted] == [955.0, 975.0, 1000.0, 1000.0]
    assert [float(_after((0, "0.955"), (1, "1"), slow_rise_per_day=rise)) for rise in ("1", None)] == [996.66, 1000.0]


def test_a_depeg_may_last_for_longer_at_every_step_of_its_range():
    lasted = ((0, "0.98"), (1, "0.98"), (73, "0.98"))
    counts = [[float(_after(*lasted[:seen], longest_hours=longest)) for seen in (1, 2, 3)] for longest in ("0", "72", None)]
    assert counts == [[980, 0, 0], [980, 980, 0], [980, 980, 980]]


def test_a_recovery_takes_longer_at_every_step_of_its_range():
    back = ((0, "0.98"), (73, "0.98"), (74, "1"), (98, "1"))
    counts = [[float(_after(*back[:seen], longest_hours="72", recovery_hours=hours)) for seen in (3, 4)] for hours in ("0", "24", "10000")]
    assert counts == [[1000, 1000], [0, 1000], [0, 0]]
