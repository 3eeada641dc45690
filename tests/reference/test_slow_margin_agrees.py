"""The engine against an independent model in exact arithmetic, on random books."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.house import NO_HOUSE, HouseView
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import EuropeanOption, OptionRight, Payoff, PremiumStyle
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from crossmargin.engine.revaluation.valuation import BasisKind
from tests.builders import (
    Revalued,
    a_haircut_row,
    a_portfolio,
    a_revalued_market,
    an_instrument,
    bill,
    cash,
    charges_document,
    coin,
    fx_forward,
    perpetual,
    risk_parameters,
    risk_parameters_document,
    stablecoin,
)
from tests.reference.slow_inputs import slow_holding, slow_house, slow_model
from tests.reference.slow_margin import slow_margin_of

CLASS_OF_GROUP = dict.fromkeys(("BTC", "ETH", "XRP", "USDC", "RLUSD"), "CRYPTO") | {"EURUSD": "FX", "USD-RATES": "FIXED_INCOME"}
CHARGES = ("liquidity", "basis", "wrong-way", "short-option minimum", "group minimum", "schedule floor", "depeg")
SCENARIOS = 30
RELATIVE = 1e-9  # float64 against exact fractions; a book of some fifteen legs loses about 1e-15


@pytest.mark.parametrize("seed", range(60))
def test_engine_agrees_with_theslow_model(seed):
    print(f"seed {seed}")
    _assert_agree(*_random_case(seed))


@pytest.mark.parametrize("seed", range(30))
def test_engine_agrees_on_slow_prices_and_on_what_accounts_share(seed):
    print(f"seed {seed}")
    _assert_agree(*_shared_case(seed))


def _assert_agree(market, parameters, portfolio):
    names = [holding.instrument_id for holding in portfolio.holdings]
    fast = _figures(market, parameters, portfolio)
    holdings = {name: slow_holding(portfolio, name, fast.split) for name in names}
    slow = slow_margin_of(slow_model(market, parameters, portfolio.mode), holdings, slow_house(portfolio))

    scale = RELATIVE * float(slow.gross + 1)
    assert fast.split.equity == pytest.approx(float(slow.equity), abs=RELATIVE * float(fast.split.gross_value.sum() + 1))
    for part in ("value_in_equity", "haircut", "over_limit"):
        expected = [float(getattr(slow, part)[name]) for name in names]
        assert getattr(fast.split, part) == pytest.approx(expected, rel=RELATIVE, abs=1e-6), part
    assert fast.gross == pytest.approx(float(slow.gross), rel=RELATIVE)
    groups = dict(zip([market.groups[group] for group in fast.netted.groups], fast.group_requirement, strict=True))
    assert groups == pytest.approx({k: float(v) for k, v in slow.group_requirement.items() if k in groups}, abs=scale)
    assert sum(v for k, v in slow.group_requirement.items() if k not in groups) == 0
    classes = dict(zip([market.classes[name] for name in fast.netted.classes], fast.class_requirement, strict=True))
    assert classes == pytest.approx({k: float(v) for k, v in slow.class_requirement.items() if k in classes}, abs=scale)
    assert fast.account_requirement == pytest.approx(float(slow.account_requirement), abs=scale)
    assert fast.market_requirement == pytest.approx(float(slow.market), abs=scale)
    contribution_scale = RELATIVE * (fast.charges.scale + float(slow.gross) + 1)
    assert fast.contribution == pytest.approx([float(slow.contribution[name]) for name in names], abs=contribution_scale)

    charge_scale = RELATIVE * (fast.charges.scale + float(slow.gross) + 1)
    # An account that stands by itself shares nothing with other accounts of its owner.
    lines = _floats(slow.charges.lines) | {"owner liquidity": 0.0, "owner basis": 0.0}
    assert {line.name: line.amount for line in fast.charges.lines} == pytest.approx(lines, abs=charge_scale)
    assert fast.charges.minimums == pytest.approx(float(slow.charges.minimums), abs=charge_scale)
    assert fast.charges.maintenance_margin == pytest.approx(float(slow.charges.maintenance), abs=charge_scale)
    assert sum(line.amount for line in fast.initial_only) == pytest.approx(float(slow.charges.initial_only), abs=1e-6)

    statement = compute_margin(portfolio, market, parameters)
    assert Fraction(statement.requirement.market_requirement) - slow.market < Fraction(1, 100)
    assert Fraction(statement.requirement.market_requirement) - slow.market > -scale


def test_random_books_reach_every_branch():
    """The books above would prove little if limits, costs and tiers never mattered in them."""
    seen = set()
    for seed in range(60):
        market, parameters, portfolio = _random_case(seed)
        figures = _figures(market, parameters, portfolio)
        split = figures.split
        seen |= {("charged", line.name) for line in (*figures.charges.lines, *figures.initial_only) if line.amount > 1e-9}
        seen |= {portfolio.mode} | {("policy", policy) for policy in portfolio.policies.values()}
        seen |= {("limited", portfolio.holdings[h].instrument_id) for h in split.collateral if split.over_limit[h] > 0}
        seen |= {("owed", portfolio.holdings[h].instrument_id) for h in split.liability}
        seen |= {("cost", held.instrument_id) for held in portfolio.holdings if held.cost}
    assert {AccountMode.ISOLATED, AccountMode.CROSS, ("policy", CollateralPolicy.PLEDGED)} <= seen
    assert seen >= {("charged", name) for name in CHARGES}
    assert {("limited", "USDC"), ("limited", "XRP"), ("limited", "BTC"), ("limited", "EUR")} <= seen
    assert {("owed", "USD"), ("owed", "EUR"), ("owed", "UST-BILL"), ("cost", "BTC-EUR"), ("cost", "BTC-INVERSE")} <= seen


def test_shared_books_reach_every_branch():
    """Each limit and each thing that is slow takes something off some of the books above."""
    seen = set()
    for seed in range(30):
        market, parameters, portfolio = _shared_case(seed)
        equity = _figures(market, parameters, portfolio).split.equity
        without = {
            "slow": (replace(market, used_fraction=np.ones(len(market.instruments))), parameters, portfolio),
            "run out": (replace(market, has_run_out=np.zeros(len(market.instruments), np.bool_)), parameters, portfolio),
            "house": (market, parameters, replace(portfolio, house=NO_HOUSE)),
        }
        for name in ("volume_limit_fraction", "supply_limit_fraction", "house_limit", "house_supply_fraction"):
            rows = {key: replace(row, **{name: None}) for key, row in parameters.haircut_schedule.items()}
            without[name] = market, replace(parameters, haircut_schedule=rows), portfolio
        issuers = tuple(replace(issuer, collateral_limit=None) for issuer in parameters.charges.issuers)
        without["issuer"] = market, replace(parameters, charges=replace(parameters.charges, issuers=issuers)), portfolio
        seen |= {name for name, case in without.items() if _figures(*case).split.equity > equity + 0.01}
    assert seen >= set(without)


def _shared_case(seed):
    """A random case with coins that are slow or run out, every kind of limit, and other accounts of the owner and of other clients."""
    market, parameters, portfolio = _random_case(seed)
    draw = random.Random(seed + 1000)  # noqa: S311 - books, not secrets
    coins = [market.row_of[InstrumentId(name)] for name in ("USDC", "RLUSD")]
    used, run_out = np.ones(len(market.instruments)), np.zeros(len(market.instruments), np.bool_)
    used[coins] = [draw.choice([1.0, 0.984375, 0.96875]) for _ in coins]
    run_out[coins] = [draw.random() < 0.15 for _ in coins]
    market = replace(market, used_fraction=used, peg_price=market.peg_price * used, has_run_out=run_out)
    limits = {
        "USDC": {
            "supply_limit_fraction": draw.choice([None, Decimal("0.01")]),
            "house_limit": draw.choice([None, Decimal(400)]),
            "house_supply_fraction": draw.choice([None, Decimal("0.04")]),
        },
        "ETH": {"volume_limit_fraction": draw.choice([None, Decimal("0.01"), Decimal("0.5")])},
    }
    rows = {name: replace(row, **limits.get(name, {})) for name, row in parameters.haircut_schedule.items()}
    issuers = tuple(
        replace(issuer, collateral_limit=draw.choice([None, Decimal(500), Decimal(2000)])) for issuer in parameters.charges.issuers
    )
    parameters = replace(
        parameters,
        haircut_schedule=rows,
        charges=replace(parameters.charges, issuers=issuers),
        circulating_supply={"spot:USDC": Decimal(100_000), "spot:RLUSD": Decimal(50_000)},
    )
    return market, parameters, replace(portfolio, house=_random_house(draw, market, portfolio.account.client_id))


def _random_house(draw, market, client):
    names = [each.instrument_id for each in market.instruments if each.is_asset and each.instrument_id != "USD"]

    def some(size):
        return {name: Decimal(draw.randint(1, size)) for name in names if draw.random() < 0.5}

    return HouseView(held=some(20_000), owned={client: some(2000)}, owner_liquidity={}, owned_isolated={client: some(2000)})


def _random_case(seed):
    draw = random.Random(seed)  # noqa: S311 - books, not secrets
    mode = draw.choice([AccountMode.CROSS, AccountMode.CROSS, AccountMode.ISOLATED])
    market, parameters = _random_market(draw), _random_parameters(draw)
    return market, parameters, _random_portfolio(draw, market, mode)


def _figures(market, parameters, portfolio):
    rates = margin_rates(parameters, portfolio.mode)
    return margin_figures(portfolio_arrays(portfolio, market), market, rates, haircut_rates(parameters))


def _random_market(draw):
    def moves(scale):
        # Multiples of 1/64 are exact in binary, so that ties are ties in both models.
        return [round(draw.gauss(0, scale) * 64) / 64 for _ in range(SCENARIOS)]

    euro, btc = moves(2.0), moves(8.0)
    weights = [draw.choice([1, 2, 3]) for _ in range(SCENARIOS)]
    return a_revalued_market(
        Revalued(cash("EUR", collateral_class="G10-CASH"), 1.125, {"EURUSD": euro}, translation_days=2.0),
        Revalued(coin("BTC"), 64.0, {"BTC": btc}, translation_days=2.0),
        Revalued(coin("ETH", collateral_class="ETH"), 32.0, {"ETH": moves(4.0)}, translation_days=2.0),
        Revalued(coin("XRP", collateral_class=draw.choice([None, "ETH"])), 2.0, {"XRP": moves(1.0)}, issuer_pnl=[{"XRP": -1.0}]),
        Revalued(stablecoin(collateral_class="USDC"), draw.choice([1.0, 0.96875, 0.9375]), {"USDC": moves(0.1)}, issuer_pnl=[{}]),
        Revalued(stablecoin("RLUSD", collateral_class="USDC"), 1.0, {"RLUSD": moves(0.1)}, issuer_pnl=[{"RLUSD": -0.125}]),
        Revalued(bill(), 0.96875, {"USD-RATES": moves(0.2)}, residual_years=draw.choice([0.25, 0.75, 2.0])),
        Revalued(perpetual("BTC-PERP"), 64.0, {"BTC": moves(8.0)}, basis=BasisKind.PERPETUAL),
        Revalued(perpetual("BTC-DATED"), 62.0, {"BTC": moves(8.0)}, basis=BasisKind.DATED),
        Revalued(
            perpetual("BTC-EUR", settlement="EUR"),
            64.0,
            {"BTC": moves(8.0), "EURUSD": moves(3.0)},
            exposure={"BTC": 64.0, "EURUSD": 64.0},
            basis=BasisKind.PERPETUAL,
        ),
        Revalued(
            perpetual("BTC-USDC", settlement="USDC"),
            64.0,
            {"BTC": moves(8.0), "USDC": moves(3.0)},
            exposure={"BTC": 64.0, "USDC": 64.0},
            basis=BasisKind.PERPETUAL,
        ),
        Revalued(perpetual("BTC-INVERSE", settlement="BTC", payoff=Payoff.INVERSE), -1.0, {"BTC": moves(0.2)}, exposure={"BTC": 0.25}),
        Revalued(_option("BTC-CALL"), 3.0, {"BTC": moves(1.0)}, exposure={"BTC": 8.0}, notional=64.0, residual_years=0.5, is_option=True),
        Revalued(_option("ETH-PUT"), 1.0, {"ETH": moves(0.1)}, exposure={"ETH": -2.0}, notional=900.0, residual_years=3.0, is_option=True),
        Revalued(fx_forward("EUR-FWD"), 0.0625, {"EURUSD": moves(2.0)}, exposure={"EURUSD": 1.125}, notional=1.125, residual_years=1.0),
        Revalued(fx_forward("EUR-FWD-2"), -0.25, {"EURUSD": moves(2.0)}, exposure={"EURUSD": 1.125}, notional=1.125, residual_years=4.0),
        groups=CLASS_OF_GROUP,
        weights=[weight / sum(weights) for weight in weights],
        stress_count=5,
    )


def _random_parameters(draw):
    rho2, rho1 = sorted((Decimal(draw.randint(0, 10)) / 10, Decimal(draw.randint(0, 10)) / 10))
    groups = [_with_its_price(group) for group in risk_parameters_document()["offset_groups"]]
    by_maturity = [_band("0.5", "0.005"), _band("1", "0.02"), _band(None, "0.04")]
    tiers = [{"up_to": "1000", "haircut_fraction": "0.2"}, {"up_to": "4000", "haircut_fraction": "0.4"}]
    return risk_parameters(
        tail_fraction=draw.choice(["0.05", "0.1", "0.173"]),
        offset_within_class=rho1,
        offset_across_classes=rho2,
        offset_groups=groups,
        charges=_random_charges(draw, groups),
        haircut_schedule=[
            a_haircut_row("USD"),
            a_haircut_row("G10-CASH", flat="0.01", has_fx_mismatch=True, share_limit=draw.choice([None, "0.3"])),
            a_haircut_row("GOVERNMENT", residual="0.0025", bands=by_maturity),
            a_haircut_row("BTC", residual="0.02", bands=[{"up_to_years": None, "tiers": tiers}], absolute_limit=draw.choice([None, "900"])),
            a_haircut_row("ETH", residual="0.03", flat="0.25", share_limit=draw.choice([None, "0.25"])),
            a_haircut_row("USDC", residual="0.02", flat="0.05", share_limit="0.4", absolute_limit=draw.choice([None, "2000"])),
        ],
    )


def _with_its_price(group):
    return group if group["curves"] or group["group_id"] == "UST" else group | {"curves": [f"spot:{group['group_id']}"]}


def _random_charges(draw, groups):
    rows = {
        group["group_id"]: {
            "spread_fraction": draw.choice(["0", "0.001", "0.01"]),
            "average_daily_volume": draw.choice(["1000", "100000"]),
            "minimum_rate_fraction": draw.choice(["0", "0.05", "0.5"]),
        }
        for group in groups
    }
    bands = [{"up_to_years": "2", "rate_fraction": "0.2"}, {"up_to_years": None, "rate_fraction": "0.9"}]
    return charges_document(
        groups,
        rows=rows,
        liquidity={"spread_multiple": "2", "base_days": draw.choice(["0", "0.3"]), "participation_fraction": draw.choice(["0.1", "1"])},
        basis={
            "perpetual_fraction": draw.choice(["0", "0.01"]),
            "dated_fraction": draw.choice(["0.01", "0.015"]),
            "stablecoin_tiers": [{"up_to": "500", "charge_fraction": "0.02"}, {"up_to": None, "charge_fraction": "0.03"}],
        },
        short_option_fraction=draw.choice(["0", "0.01", "0.2"]),
        depeg={"haircut_slope": draw.choice(["0", "4", "40"]), "ineligible_price": "0.95"},
        schedule_floor={
            "floor_fraction": draw.choice(["0", "0.5", "1"]),
            "in_scope": ["EUROPEAN_OPTION", "FX_FORWARD"],
            "rates": dict.fromkeys(("CRYPTO", "FX", "FIXED_INCOME"), bands),
        },
        issuers=[{"issuer_id": "RIPPLE", "is_own_issue": False, "moves": {"spot:XRP": "-0.5", "spot:RLUSD": "-0.125"}}],
    )


def _option(name):
    underlying, expiry = name.partition("-")[0], datetime(2026, 9, 1, tzinfo=UTC)
    terms = EuropeanOption(
        InstrumentId(underlying), InstrumentId("USD"), Decimal(1), OptionRight.CALL, Decimal(60), expiry, PremiumStyle.CASH_PAID
    )
    return an_instrument(name, terms)


def _band(up_to_years, fraction):
    return {"up_to_years": up_to_years, "tiers": [{"up_to": None, "haircut_fraction": fraction}]}


def _random_portfolio(draw, market, mode):
    sizes = {
        "USD": 5000,
        "EUR": 3000,
        "BTC": 100,
        "ETH": 100,
        "XRP": 500,
        "USDC": 4000,
        "RLUSD": 4000,
        "UST-BILL": 4000,
        "EUR-FWD": 4000,
        "EUR-FWD-2": 4000,
    }
    held = {}
    for instrument in market.instruments:
        if draw.random() < 0.3:
            continue
        size = sizes.get(instrument.instrument_id, 60)
        sign = draw.choice([1, 1, 1, -1])
        quantity = sign * draw.randint(1, size * 8) / 8
        cost = quantity * draw.randint(30, 90) / 64 if instrument.is_margined else 0
        held[str(instrument.instrument_id)] = (repr(quantity), repr(cost))
    policies = {name: draw.choice([CollateralPolicy.RISKED, CollateralPolicy.PLEDGED]) for name in held if draw.random() < 0.6}
    return a_portfolio(held, policies=policies, mode=mode)


def _floats(amounts):
    return {name: float(amount) for name, amount in amounts.items()}
