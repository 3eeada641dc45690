"""Laws that hold for every instrument, market and scenario."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    BusinessDayRule,
    CashFlow,
    CashFlows,
    DatedFuture,
    DayCount,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    Instrument,
    InterestRateSwap,
    NonDeliverableForward,
    OptionRight,
    OptionTerms,
    Payoff,
    Perpetual,
    PremiumStyle,
    PresentValueTerms,
    consideration,
)
from crossmargin.domain.market import MarketSnapshot
from crossmargin.engine.revaluation import RevaluedMarket, revalue_market
from crossmargin.engine.revaluation.bundle import Asked, Bundle, Members
from crossmargin.engine.revaluation.prepared_instruments import KINDS
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from tests.builders import an_instrument
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    ASSETS,
    LEVELS,
    a_bill,
    a_forward,
    a_snapshot,
    an_option,
    legs_of,
    parameters,
    random_scenarios,
    total_of,
    unit_value_of,
)

SCENARIOS = 20
PARAMETERS = parameters()
FEW = settings(max_examples=60, deadline=None)  # each example revalues a market in some ten milliseconds

moneys = st.sampled_from(["USD", "EUR", "GBP"])
coins = st.sampled_from(["BTC", "ETH"])
rights = st.sampled_from(OptionRight)
multipliers = st.sampled_from(["0.001", "1", "100"]).map(Decimal)
days_ahead = st.integers(1, 4000)
seeds = st.integers(0, 2**32 - 1)


def prices(low: float, high: float, places: int = 4) -> st.SearchStrategy[Decimal]:
    return st.decimals(str(low), str(high), places=places)


@st.composite
def snapshots(draw: st.DrawFn) -> MarketSnapshot:
    """All the factors, each price or volatility up to three times larger or smaller, each rate moved by up to 3%."""
    levels = {}
    for name, level in LEVELS.items():
        if name.startswith(("zero", "basis")):
            levels[name] = Decimal(level) + draw(prices(-0.03, 0.03))
        else:
            levels[name] = Decimal(level) * draw(prices(0.33, 3))
    moment = AS_OF.replace(hour=0, minute=0) + timedelta(seconds=draw(st.integers(0, 86_399)))
    return a_snapshot(levels | {"basis:ETH:3M": draw(prices(-0.2, 0.2))}, as_of=moment)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    """Any instrument but an asset."""
    payoff = draw(st.sampled_from(Payoff))
    underlying = InstrumentId(draw(coins))
    settlement = underlying if payoff is Payoff.INVERSE else InstrumentId(draw(st.sampled_from(["USD", "EUR", "USDC", "BTC"])))
    day = AS_OF.date() + timedelta(days=draw(days_ahead))
    expiry = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
    money = InstrumentId(draw(moneys))
    premium = draw(st.sampled_from(PremiumStyle))
    other = draw(moneys.filter(lambda name: name != money))
    future_expiry = draw(st.sampled_from([None, expiry + timedelta(days=40)]))
    is_in_coin = premium is PremiumStyle.COIN_SETTLED
    deliverable = FixedRateBond(money, draw(prices(0, 0.12)), 2, AS_OF.date() - timedelta(days=900), day + timedelta(days=4000))
    begun = AS_OF.date() - timedelta(days=draw(st.integers(-500, 500)))
    rule, day_count, per_year = draw(st.sampled_from(BusinessDayRule)), draw(st.sampled_from(DayCount)), draw(st.sampled_from([1, 2, 4]))
    end = max(day, begun) + timedelta(days=3)
    kinds = {
        "PERPETUAL": lambda: Perpetual(underlying, settlement, draw(multipliers), payoff),
        "FUTURE": lambda: DatedFuture(underlying, settlement, draw(multipliers), payoff, expiry),
        "OPTION": lambda: EuropeanOption(
            underlying,
            underlying if premium is PremiumStyle.COIN_SETTLED else money,
            draw(multipliers),
            draw(rights),
            draw(prices(500, 200_000, 2)),
            expiry,
            premium,
            None if is_in_coin else future_expiry,
        ),
        "AMERICAN": lambda: AmericanOption(underlying, money, draw(multipliers), draw(rights), draw(prices(500, 200_000, 2)), expiry),
        "FX-OPTION": lambda: FxOption(InstrumentId("EUR"), InstrumentId("GBP"), draw(rights), draw(prices(0.5, 2)), expiry),
        "NDF": lambda: NonDeliverableForward(money, InstrumentId(other), InstrumentId("GBP"), draw(prices(0.5, 2)), day, day),
        "FLOWS": lambda: CashFlows(
            money, (CashFlow(money, draw(prices(1, 9)), day), CashFlow(InstrumentId(other), -draw(prices(1, 9)), AS_OF.date()))
        ),
        "NOTE": lambda: FloatingRateNote(
            money,
            draw(prices(-0.01, 0.02)),
            draw(prices(0, 0.1)),
            AS_OF.date(),
            per_year,
            day_count,
            rule,
            begun,
            end + timedelta(days=60),
        ),
        "SWAP": lambda: InterestRateSwap(
            money, draw(prices(-0.01, 0.1)), per_year, day_count, rule, begun, end, draw(prices(0, 0.04)), AS_OF.date()
        ),
        "BOND-FUTURE": lambda: BondFuture(money, draw(multipliers), day, draw(prices(0.6, 1.2)), deliverable),
        "FORWARD": lambda: FxForward(money, InstrumentId(other), draw(prices(0.5, 2)), day),
        "BILL": lambda: Bill(money, day),
        "BOND": lambda: FixedRateBond(
            money, draw(prices(0, 0.12)), draw(st.sampled_from([1, 2, 4, 12])), AS_OF.date() - timedelta(days=draw(days_ahead)), day
        ),
    }
    name = draw(st.sampled_from(sorted(kinds)))
    return an_instrument(name, kinds[name]())


def revalued(snapshot: MarketSnapshot, drawn: ScenarioSet, *held: Instrument) -> RevaluedMarket:
    market = revalue_market([*ASSETS, *held], snapshot, drawn, PARAMETERS)
    assert market.unavailable == {}
    return market


def drawn_scenarios(snapshot: MarketSnapshot, seed: int) -> ScenarioSet:
    return random_scenarios(snapshot, SCENARIOS, seed)


def bundles_of(instrument: Instrument, states: ShockedMarket) -> list[Bundle]:
    """What the kind of an instrument makes of it alone, without a mark."""
    kind = KINDS[type(instrument.terms)].prepare(Members((instrument,), np.array([0])))
    return kind.value(states, Asked(np.array([np.nan]), np.array([True]))).bundles


def size_of(market: RevaluedMarket, *names: str) -> float:
    """The largest amount anywhere in the legs, against which rounding is measured."""
    largest = [np.abs(pnl).max() for name in names for pnl in legs_of(market, name).values()]
    return max([1e-9, *largest, *(abs(unit_value_of(market, name)) for name in names)])


@FEW
@given(snapshots(), instruments(), seeds)
def test_long_and_short_of_the_same_terms_cancel_in_every_scenario(snapshot, instrument, seed):
    twin = replace(instrument, instrument_id=InstrumentId("TWIN"))
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), instrument, twin)
    long, short = legs_of(market, instrument.instrument_id), legs_of(market, "TWIN")
    assert long.keys() == short.keys()
    for group in long:
        np.testing.assert_array_equal(3.0 * long[group] - 3.0 * short[group], 0.0)
    assert unit_value_of(market, instrument.instrument_id) == unit_value_of(market, "TWIN")


@FEW
@given(snapshots(), instruments(), seeds)
def test_legs_add_up_to_the_change_of_the_whole_value(snapshot, instrument, seed):
    """Against the claims themselves: sum of X_s V_s - X_0 V_0, without the split in local and translation parts."""
    drawn = drawn_scenarios(snapshot, seed)
    market = revalued(snapshot, drawn, instrument)
    assets = {asset.instrument_id: asset for asset in ASSETS}
    states = ShockedMarket(assets=assets, snapshot=snapshot, scenarios=drawn, parameters=PARAMETERS)
    (bundle,) = bundles_of(instrument, states)
    whole = sum(claim.amount[0] * states.price(claim.asset) for claim in bundle.claims)
    name = instrument.instrument_id
    np.testing.assert_allclose(total_of(market, name), whole[1:] - whole[0], rtol=0, atol=1e-12 * size_of(market, name))
    assert unit_value_of(market, name) == pytest.approx(whole[0], rel=1e-12)


@FEW
@given(snapshots(), instruments())
def test_a_market_that_stands_still_gains_nothing(snapshot, instrument):
    still = random_scenarios(snapshot, 2, seed=0)
    zero = ScenarioSet(
        factors=still.factors,
        shocks=np.zeros_like(still.shocks),
        weights=still.weights,
        names=still.names,
        ordinary_count=2,
        proxied={},
        unavailable={},
    )
    np.testing.assert_array_equal(revalued(snapshot, zero, instrument).leg_pnl, 0.0)


@FEW
@given(snapshots(), instruments(), st.floats(0.2, 3.0), seeds)
def test_a_mark_reproduces_itself(snapshot, instrument, ratio, seed):
    name = instrument.instrument_id
    drawn = drawn_scenarios(snapshot, seed)
    plain = revalued(snapshot, drawn, instrument)
    settlement = plain.settlement_price[plain.row_of[name]]
    price_per_unit = unit_value_of(plain, name) / settlement
    one = float(consideration(instrument, quantity=Decimal(1), price=Decimal(1)))
    # Inverse contracts alone cost less than nothing, and the less the higher the price.
    quoted = Decimal(f"{(one / price_per_unit if one < 0 else price_per_unit / one) * ratio:.15f}")
    if quoted == 0 and not isinstance(instrument.terms, OptionTerms + PresentValueTerms):
        return  # a price of zero is none
    marked = revalued(MarketSnapshot(snapshot.as_of, snapshot.levels, {name: quoted}), drawn, instrument)
    per_unit = float(consideration(instrument, quantity=Decimal(1), price=quoted))
    # A present value is the difference of payments of the size of some units, so its rounding is measured against those.
    slack = 1e-12 * (30.0 if isinstance(instrument.terms, PresentValueTerms) else 0.0)
    assert unit_value_of(marked, name) == pytest.approx(per_unit * settlement, rel=1e-12, abs=slack)
    assert np.isfinite(marked.leg_pnl).all()


@FEW
@given(snapshots(), coins, multipliers, prices(0.5, 2), seeds)
def test_an_inverse_contract_gains_what_its_coins_are_worth(snapshot, underlying, multiplier, premium, seed):
    """-multiplier / mark coins at the price of the coin, so that in dollars only the ratio of mark to spot would matter."""
    contract = an_instrument("PERP", Perpetual(InstrumentId(underlying), InstrumentId(underlying), multiplier, Payoff.INVERSE))
    drawn = drawn_scenarios(snapshot, seed)
    level = next(float(level) for factor, level in snapshot.levels.items() if str(factor) == f"spot:{underlying}")
    mark = Decimal(f"{level * float(premium):.6f}")
    market = revalued(MarketSnapshot(snapshot.as_of, snapshot.levels, {InstrumentId("PERP"): mark}), drawn, contract)
    value = -float(multiplier) / float(mark) * level
    assert unit_value_of(market, "PERP") == pytest.approx(value, rel=1e-14)
    # Held with the cost of its entry at the mark, +multiplier / mark coins, it gains 1/mark - 1/mark_s coins.
    cost_coins = float(multiplier) / float(mark)
    coin_moves = np.exp(drawn.shocks[:, [str(factor) for factor in drawn.factors].index(f"spot:{underlying}")])
    gained = float(multiplier) * (1 / float(mark) - 1 / (float(mark) * coin_moves)) * level * coin_moves
    held = total_of(market, "PERP") + cost_coins * total_of(market, underlying)
    np.testing.assert_allclose(held, gained, rtol=0, atol=1e-12 * abs(value) * coin_moves.max() * 4)


@FEW
@given(snapshots(), coins, multipliers, seeds)
def test_a_perpetual_and_the_coins_it_replaces_cancel(snapshot, underlying, multiplier, seed):
    short = an_instrument("PERP", Perpetual(InstrumentId(underlying), InstrumentId("USD"), multiplier, Payoff.LINEAR))
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), short)
    coins_held = float(multiplier) * total_of(market, underlying)
    np.testing.assert_allclose(coins_held, total_of(market, "PERP"), rtol=0, atol=1e-13 * size_of(market, "PERP"))


@FEW
@given(snapshots(), st.tuples(coins, moneys), st.integers(100, 200_000), days_ahead, seeds)
def test_put_call_parity_of_cash_paid_options_in_every_scenario(snapshot, names, strike, days, seed):
    """C - P is worth DF (F - K): a long future less its strike, discounted."""
    underlying, money = names
    expiry = AS_OF + timedelta(days=days)
    pair = [
        an_option(right.name, right=right, strike=strike, settlement=money, expiry=expiry, underlying=underlying) for right in OptionRight
    ]
    drawn = drawn_scenarios(snapshot, seed)
    states = ShockedMarket(assets={a.instrument_id: a for a in ASSETS}, snapshot=snapshot, scenarios=drawn, parameters=PARAMETERS)
    future = an_instrument("FUTURE", DatedFuture(InstrumentId(underlying), InstrumentId(money), Decimal(1), Payoff.LINEAR, expiry))
    (bundle,) = bundles_of(future, states)
    forward = bundle.claims[0].amount[0]
    years = np.array([states.years_until(expiry)])
    curve = states.curve(f"zero:{money}")
    discount = np.exp(-(curve.levels_at(years)[0] + curve.moves_at(years)[0]) * years[0])
    parity = discount * (forward - strike) * states.price(InstrumentId(money))
    market = revalued(snapshot, drawn, *pair)
    size = max(np.abs(forward).max(), strike) * 4  # the terms that cancel
    assert unit_value_of(market, "CALL") - unit_value_of(market, "PUT") == pytest.approx(parity[0], abs=1e-13 * size)
    np.testing.assert_allclose(total_of(market, "CALL") - total_of(market, "PUT"), parity[1:] - parity[0], rtol=0, atol=1e-12 * size)


@FEW
@given(snapshots(), coins, st.integers(100, 200_000), days_ahead, seeds)
def test_put_call_parity_of_coin_settled_options_in_every_scenario(snapshot, underlying, strike, days, seed):
    """C - P is 1 - K / F coins: the coin itself and K inverse futures."""
    expiry = AS_OF + timedelta(days=days)
    pair = [
        an_option(right.name, right=right, strike=strike, premium=PremiumStyle.COIN_SETTLED, expiry=expiry, underlying=underlying)
        for right in OptionRight
    ]
    terms = DatedFuture(InstrumentId(underlying), InstrumentId(underlying), Decimal(strike), Payoff.INVERSE, expiry)
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), *pair, an_instrument("FUTURE", terms))
    left = total_of(market, "CALL") - total_of(market, "PUT")
    right = total_of(market, underlying) + total_of(market, "FUTURE")
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-12 * size_of(market, "CALL", "PUT", underlying, "FUTURE"))


@FEW
@given(snapshots(), st.permutations(["USD", "EUR", "GBP"]), prices(0.5, 2), days_ahead, seeds)
def test_a_forward_is_a_bill_bought_and_bills_sold_leg_by_leg(snapshot, currencies, rate, days, seed):
    bought, sold, _ = currencies
    day = AS_OF.date() + timedelta(days=days)
    held = [
        a_forward(bought=bought, sold=sold, rate=rate, delivery=day),
        a_bill("BILL-BOUGHT", settlement=bought, maturity=day),
        a_bill("BILL-SOLD", settlement=sold, maturity=day),
    ]
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), *held)
    forward, received, paid = (legs_of(market, name) for name in ("FORWARD", "BILL-BOUGHT", "BILL-SOLD"))
    assert forward.keys() == received.keys() | paid.keys()
    still = np.zeros(SCENARIOS)
    for group, pnl in forward.items():
        replica = received.get(group, still) - float(rate) * paid.get(group, still)
        np.testing.assert_allclose(pnl, replica, rtol=0, atol=1e-14 * size_of(market, "FORWARD", "BILL-BOUGHT", "BILL-SOLD"))


@FEW
@given(snapshots(), st.integers(2027, 2045), prices(0, 0.12), st.sampled_from([1, 2, 4]), seeds)
def test_a_bond_is_a_strip_of_bills(snapshot, year, coupon, per_year, seed):
    maturity = date(year, 8, 31)
    bond = an_instrument("BOND", FixedRateBond(InstrumentId("EUR"), coupon, per_year, date(2026, 1, 1), maturity))
    months = [year * 12 + 7 - 12 // per_year * step for step in range(per_year * 20)]
    ends = [date(month // 12 + (month % 12 == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1) for month in months]
    payments = [day for day in ends if day > AS_OF.date()]
    bills = [a_bill(f"BILL-{day}", settlement="EUR", maturity=day) for day in payments]
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), bond, *bills)
    amounts = {bill.instrument_id: float(coupon) / per_year for bill in bills}
    strip = sum(amount * total_of(market, name) for name, amount in amounts.items()) + total_of(market, bills[0].instrument_id)
    np.testing.assert_allclose(total_of(market, "BOND"), strip, rtol=0, atol=1e-13 * size_of(market, "BOND"))


@FEW
@given(snapshots(), st.lists(instruments(), min_size=2, max_size=5, unique_by=lambda each: each.instrument_id), seeds, st.randoms())
def test_the_order_of_the_instruments_changes_no_bit(snapshot, held, seed, random):
    drawn = drawn_scenarios(snapshot, seed)
    shuffled = [*ASSETS, *held]
    random.shuffle(shuffled)
    first, second = revalued(snapshot, drawn, *held), revalue_market(shuffled, snapshot, drawn, PARAMETERS)
    assert first.instruments == second.instruments
    assert first.leg_pnl.tobytes() == second.leg_pnl.tobytes()
    assert first.unit_value.tobytes() == second.unit_value.tobytes()


@FEW
@given(snapshots(), coins, rights, st.sampled_from(PremiumStyle), seeds)
def test_far_in_the_money_an_option_is_its_forward_and_far_out_nothing(snapshot, underlying, right, premium, seed):
    """Two days before expiry, at strikes a million times away from the forward."""
    low, high = Decimal("0.001"), Decimal(10) ** 11
    strikes = {"IN": low, "OUT": high} if right is OptionRight.CALL else {"IN": high, "OUT": low}
    expiry = AS_OF + timedelta(days=2)
    held = [an_option(name, right=right, strike=k, premium=premium, expiry=expiry, underlying=underlying) for name, k in strikes.items()]
    opposite = OptionRight.PUT if right is OptionRight.CALL else OptionRight.CALL
    mirror = an_option("MIRROR", right=opposite, strike=strikes["IN"], premium=premium, expiry=expiry, underlying=underlying)
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), *held, mirror)
    assert unit_value_of(market, "OUT") == unit_value_of(market, "MIRROR") == 0.0
    np.testing.assert_array_equal(total_of(market, "OUT"), 0.0)
    assert unit_value_of(market, "IN") > 0.0


@FEW
@given(snapshots(), coins, st.integers(100, 200_000), rights, st.floats(1e-9, 1e-6))
def test_an_option_without_volatility_is_worth_its_intrinsic_value_in_every_scenario(snapshot, underlying, strike, right, volatility):
    """The smallest volatilities a snapshot can hold, and shocks that make them smaller still."""
    quiet = {str(factor): level for factor, level in snapshot.levels.items()}
    for tenor in ("1M", "6M"):
        quiet[f"vol:{underlying}:{tenor}"] = Decimal(f"{volatility:.12f}")
    still = a_snapshot(quiet, without=["basis:", "zero:"], as_of=snapshot.as_of)
    option = an_option(right=right, strike=strike, underlying=underlying)
    drawn = drawn_scenarios(still, 1)
    market = revalue_market([*ASSETS, option], still, drawn, PARAMETERS)
    spot = still.levels[next(factor for factor in still.levels if str(factor) == f"spot:{underlying}")]
    column = [str(factor) for factor in drawn.factors].index(f"spot:{underlying}")
    sign = 1.0 if right is OptionRight.CALL else -1.0
    states = float(spot) * np.exp(np.concatenate([[0.0], drawn.shocks[:, column]]))
    intrinsic = np.maximum(sign * (states - strike), 0.0)
    slack = 1e-6 * max(states.max(), strike)  # F sigma sqrt(T / 2 pi) at the money
    assert unit_value_of(market, "OPTION") == pytest.approx(intrinsic[0], abs=slack)
    np.testing.assert_allclose(total_of(market, "OPTION"), intrinsic[1:] - intrinsic[0], rtol=0, atol=2 * slack)
