"""Every parameter of the charges moves a result at both ends of its range; one that moves nothing has no place in the set."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from crossmargin.domain.charge_parameters import ChargeParameters
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import a_portfolio, charges_document
from tests.charge_books import a_market, issuers, parameters
from tests.parameter_leaves import leaves
from tests.unit.engine.revaluation.markets import ASSETS, GROUPS, a_snapshot, revalue

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
ELSEWHERE = {"issuers.moves"}
"""Moves reach the charges through the revaluation; the last test is theirs."""


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
