"""QuantLib as an oracle for swaps, notes, bond futures, FX options, NDFs, cash flows and options on futures or exercised early.

The market, its states and the curves are those of the prices beside this file: midnight, whole days, 50 joint shocks of every factor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.holidays import HolidayCalendar
from crossmargin.domain.instrument import BusinessDayRule, DayCount, Instrument, OptionRight, PremiumStyle
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.engine.revaluation.american_exercise import american_price
from crossmargin.engine.revaluation.schedule import accrual_periods, year_fractions
from tests.reference.test_prices_against_quantlib import (
    AS_OF,
    DAY_COUNT,
    INSTRUMENTS,
    NODES,
    SCENARIOS,
    SEEDS,
    TODAY,
    TOLERANCE,
    State,
    a_market,
    a_quantlib_bond,
    node,
    ql,
    ql_date,
    random_bond,
    revalued,
    states,
    values_of,
    zero_curve,
)
from tests.unit.engine.revaluation.markets import (
    a_bond_future,
    a_note,
    a_swap,
    an_american_option,
    an_fx_option,
    an_ndf,
    an_option,
    random_scenarios,
    some_cash_flows,
)

DAY_COUNTS: dict[DayCount, Callable[[ql.Schedule], ql.DayCounter]] = {
    DayCount.ACT_360: lambda _: ql.Actual360(),
    DayCount.ACT_365F: lambda _: ql.Actual365Fixed(),
    DayCount.THIRTY_360: lambda _: ql.Thirty360(ql.Thirty360.BondBasis),
    DayCount.ACT_ACT_ICMA: lambda schedule: ql.ActualActual(ql.ActualActual.ISMA, schedule),
}
CALENDARS = {
    HolidayCalendar.WEEKENDS: ql.WeekendsOnly(),
    HolidayCalendar.TARGET: ql.TARGET(),
    HolidayCalendar.US_GOVERNMENT_BONDS: ql.UnitedStates(ql.UnitedStates.GovernmentBond),
    HolidayCalendar.LONDON: ql.UnitedKingdom(),
    HolidayCalendar.TOKYO: ql.Japan(),
}
RULES = {BusinessDayRule.UNADJUSTED: ql.Unadjusted, BusinessDayRule.MODIFIED_FOLLOWING: ql.ModifiedFollowing}
# Of the price, as the approximations of early exercise go; and of spot where the price is less than a hundredth of it.
AMERICAN_TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def _evaluation_date() -> Iterator[None]:
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = TODAY
    ql.IborCoupon.createAtParCoupons()  # projects a coupon over its own period, not over the tenor of the index
    yield
    ql.Settings.instance().evaluationDate = before
    ql.IndexManager.instance().clearHistories()


class Case:
    """A random market and its states, with random numbers for instruments of it."""

    def __init__(self, seed: int, more: Mapping[str, str] | None = None) -> None:
        self.random = np.random.default_rng(seed)
        levels = dict(a_market(self.random).levels) | {FactorId.parse(name): Decimal(level) for name, level in (more or {}).items()}
        self.snapshot = MarketSnapshot(AS_OF, levels, {})
        self.drawn = random_scenarios(self.snapshot, SCENARIOS, seed)
        self.states = states(self.snapshot, self.drawn)

    def check(self, held: list[Instrument], value: Callable[[Instrument, State], float], *, rtol: float = TOLERANCE, atol: float = 1e-12):
        market = revalued(self.snapshot, self.drawn, held)
        for instrument in held:
            expected = [value(instrument, state) for state in self.states]
            np.testing.assert_allclose(values_of(market, instrument.instrument_id), expected, rtol=rtol, atol=atol)

    def day(self, first: int, last: int) -> date:
        return AS_OF.date() + timedelta(days=int(self.random.integers(first, last)))

    def rate(self, low: float = -0.01, high: float = 0.08) -> str:
        return f"{self.random.uniform(low, high):.5f}"

    def one_of(self, choices: list) -> object:
        return choices[self.random.integers(len(choices))]


def a_schedule(
    start: date, end: date, per_year: int, rule: BusinessDayRule, calendar: HolidayCalendar = HolidayCalendar.WEEKENDS
) -> ql.Schedule:
    return ql.Schedule(
        ql_date(start),
        ql_date(end),
        ql.Period(12 // per_year, ql.Months),
        CALENDARS[calendar],
        RULES[rule],
        RULES[rule],
        ql.DateGeneration.Backward,
        False,
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("day_count", DayCount)
@pytest.mark.parametrize("rule", BusinessDayRule)
def test_schedules_and_day_counts(seed, day_count, rule):
    """Short first periods, month ends and weekends included."""
    case = Case(seed)
    for _ in range(100):
        start, per_year = case.day(-4000, 1000), int(case.one_of([1, 2, 4, 12]))
        end = start + timedelta(days=int(case.random.integers(20, 4000)))
        calendar = case.one_of(list(HolidayCalendar)) if rule is not BusinessDayRule.UNADJUSTED else HolidayCalendar.WEEKENDS
        schedule = a_schedule(start, end, per_year, rule, calendar)
        if len(schedule) < 3 and day_count is DayCount.ACT_ACT_ICMA:
            continue  # QuantLib has no reference period for a schedule of a single short one
        periods = accrual_periods(start, end, per_year=per_year, rule=rule, calendar=calendar, after=date(1990, 1, 1))
        days = [date(day.year(), day.month(), day.dayOfMonth()) for day in schedule]
        assert [*periods.starts.tolist(), periods.ends.tolist()[-1]] == days
        if day_count is DayCount.ACT_ACT_ICMA and rule is not BusinessDayRule.UNADJUSTED:
            continue  # whole periods by rule 251 whatever a weekend does to them; QuantLib measures them against unadjusted ones
        counter = DAY_COUNTS[day_count](schedule)
        expected = [counter.yearFraction(first, last) for first, last in zip(list(schedule), list(schedule)[1:], strict=False)]
        np.testing.assert_allclose(year_fractions(periods, day_count), expected, rtol=1e-13)


@pytest.mark.parametrize("seed", SEEDS)
def test_floating_rate_notes(seed):
    case = Case(seed)
    notes = []
    for number in range(INSTRUMENTS):
        per_year = int(case.one_of([1, 2, 4, 12]))
        issued = case.day(-400, -1)
        notes.append(
            a_note(
                f"NOTE-{number}",
                settlement=str(case.one_of(["USD", "EUR"])),
                spread=case.rate(-0.01, 0.03),
                fixed=case.rate(),
                fixed_on=AS_OF.date() - timedelta(days=1),
                per_year=per_year,
                day_count=case.one_of([DayCount.ACT_360, DayCount.ACT_365F, DayCount.THIRTY_360]),
                rule=case.one_of(list(BusinessDayRule)),
                issued=issued,
                maturity=case.day(30, 7000),
            )
        )
    case.check(notes, note_value)


def note_value(instrument: Instrument, state: State) -> float:
    """QuantLib's bond on an index of the same curve, its current coupon fixed. A coupon is the index plus the spread."""
    terms = instrument.terms
    curve = zero_curve(state, instrument.settlement)
    schedule = a_schedule(terms.issue_date, terms.maturity_date, terms.coupons_per_year, terms.business_days)
    counter = DAY_COUNTS[terms.day_count](schedule)
    tenor = ql.Period(12 // terms.coupons_per_year, ql.Months)
    index = ql.IborIndex("oracle", tenor, 0, ql.USDCurrency(), ql.NullCalendar(), ql.Unadjusted, False, counter, curve)
    bond = ql.FloatingRateBond(0, 100.0, schedule, index, counter, ql.Unadjusted, 0, [1.0], [float(terms.spread_rate)])
    current = next(
        coupon for coupon in map(ql.as_floating_rate_coupon, bond.cashflows()) if coupon is not None and coupon.accrualEndDate() > TODAY
    )
    if current.accrualStartDate() < TODAY:
        ql.IndexManager.instance().clearHistories()
        index.addFixing(current.fixingDate(), float(terms.fixed_rate - terms.spread_rate), True)
    bond.setPricingEngine(ql.DiscountingBondEngine(curve))
    return bond.NPV() / 100 * (1.0 if instrument.settlement == "USD" else state["fx:EUR"])


@pytest.mark.parametrize("seed", SEEDS)
def test_swaps(seed):
    case = Case(seed)
    swaps = []
    for number in range(INSTRUMENTS):
        start = case.day(-300, 600)
        per_year = int(case.one_of([1, 2, 4]))
        day_count, rule = case.one_of([DayCount.ACT_360, DayCount.ACT_365F, DayCount.THIRTY_360]), case.one_of(list(BusinessDayRule))
        end = start + timedelta(days=int(case.random.integers(400, 9000)))
        calendar = case.one_of(list(HolidayCalendar)) if rule is not BusinessDayRule.UNADJUSTED else HolidayCalendar.WEEKENDS
        schedule = a_schedule(start, end, per_year, rule, calendar)
        begun = [day for day in schedule if day < TODAY]
        accrued = overnight_growth(begun[-1]) - 1.0 if begun else 0.0
        swaps.append(
            a_swap(
                f"SWAP-{number}",
                fixed=case.rate(),
                per_year=per_year,
                day_count=day_count,
                rule=rule,
                start=start,
                maturity=end,
                accrued=f"{accrued:.18f}",
                accrued_until=AS_OF.date() if begun else start,
            )
        )
    case.check(swaps, swap_value)


def past_rate(day: ql.Date) -> float:
    return 0.02 + 0.0001 * (day.serialNumber() % 300)


def overnight_growth(start: ql.Date) -> float:
    grown = 1.0
    for serial in range(start.serialNumber(), TODAY.serialNumber()):
        grown *= 1.0 + past_rate(ql.Date(serial)) / 360
    return grown


def swap_value(instrument: Instrument, state: State) -> float:
    terms = instrument.terms
    curve = zero_curve(state, "USD")
    index = ql.OvernightIndex("overnight oracle", 0, ql.USDCurrency(), ql.NullCalendar(), ql.Actual360(), curve)
    schedule = a_schedule(terms.start_date, terms.maturity_date, terms.payments_per_year, terms.business_days)
    if schedule[0] < TODAY:
        days = [ql.Date(serial) for serial in range(schedule[0].serialNumber(), TODAY.serialNumber())]
        index.addFixings(days, [past_rate(day) for day in days], True)
    counter = DAY_COUNTS[terms.day_count](schedule)
    swap = ql.OvernightIndexedSwap(
        ql.OvernightIndexedSwap.Payer, 1.0, schedule, float(terms.fixed_rate), counter, index, 0.0, 0, ql.Unadjusted, ql.NullCalendar()
    )
    swap.setPricingEngine(ql.DiscountingSwapEngine(curve))
    return swap.NPV()


@pytest.mark.parametrize("seed", SEEDS)
def test_bond_futures(seed):
    case = Case(seed)
    futures = []
    for number in range(INSTRUMENTS):
        bond = random_bond(case.random, number)
        while bond.terms.issue_date > AS_OF.date():
            bond = random_bond(case.random, number)
        life = (bond.terms.maturity_date - AS_OF.date()).days
        delivery = AS_OF.date() + timedelta(days=int(case.random.integers(0, min(life, 300))))
        futures.append(a_bond_future(f"FUTURE-{number}", deliverable=bond, delivery=delivery, factor=case.rate(0.6, 1.2), multiplier=10))

    def value(instrument: Instrument, state: State) -> float:
        terms = instrument.terms
        curve = zero_curve(state, instrument.settlement)
        bond = a_quantlib_bond(terms.deliverable, curve)
        day = ql_date(terms.delivery_date)
        coupons = sum(flow.amount() * curve.discount(flow.date()) for flow in bond.cashflows() if TODAY < flow.date() <= day)
        forward = (bond.NPV() - coupons) / curve.discount(day)
        price = (forward - bond.accruedAmount(day)) / float(terms.conversion_factor)
        return 10 * price * (1.0 if instrument.settlement == "USD" else state["fx:EUR"])

    case.check(futures, value)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("pair", ["EURUSD", "USDEUR"])
def test_fx_options_by_garman_and_kohlhagen(seed, pair):
    case = Case(seed, {"vol:EUR:30D": "0.09", "vol:EUR:360D": "0.12"})
    currency, settlement = pair[:3], pair[3:]
    spot = 1.1 if currency == "EUR" else 1 / 1.1
    options = [
        an_fx_option(
            f"OPTION-{number}",
            currency=currency,
            settlement=settlement,
            right=case.one_of(list(OptionRight)),
            strike=f"{spot * np.exp(case.random.normal(scale=0.1)):.5f}",
            expiry=AS_OF + timedelta(days=int(case.random.integers(1, 700))),
        )
        for number in range(INSTRUMENTS)
    ]

    def value(instrument: Instrument, state: State) -> float:
        terms = instrument.terms
        price = {"EUR": state["fx:EUR"], "USD": 1.0}
        days = (terms.expiry - AS_OF).days
        process = ql.GarmanKohlagenProcess(
            ql.QuoteHandle(ql.SimpleQuote(price[currency] / price[settlement])),
            zero_curve(state, currency),
            zero_curve(state, settlement),
            ql.BlackVolTermStructureHandle(
                ql.BlackConstantVol(TODAY, ql.NullCalendar(), surface(case.states[0], state, "vol:EUR", days / 365), DAY_COUNT)
            ),
        )
        option = ql.VanillaOption(payoff_of(terms), ql.EuropeanExercise(TODAY + days))
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        return option.NPV() * price[settlement]

    case.check(options, value, atol=1e-13)


def payoff_of(terms) -> ql.PlainVanillaPayoff:
    return ql.PlainVanillaPayoff(ql.Option.Call if terms.right is OptionRight.CALL else ql.Option.Put, float(terms.strike))


def surface(base: State, state: State, curve: str, years: float) -> float:
    """Volatility at an expiry: levels are linear in tenor, and so are the logarithms of their moves."""
    moves = {name: float(np.log(state[name] / base[name])) for name in base if name.startswith(f"{curve}:")}
    return node(base, curve, years) * float(np.exp(node(moves, curve, years)))


@pytest.mark.parametrize("seed", SEEDS)
def test_ndfs_and_cash_flows(seed):
    case = Case(seed)
    held = []
    for number in range(INSTRUMENTS):
        fixing = case.day(0, 700)
        held.append(
            an_ndf(
                f"NDF-{number}",
                settlement=str(case.one_of(["USD", "EUR"])),
                rate=case.rate(0.9, 1.4),
                fixing=fixing,
                payment=fixing + timedelta(days=2),
            )
        )
        flows = [(str(case.one_of(["USD", "EUR"])), case.rate(-9, 9), case.day(0, 4000)) for _ in range(int(case.random.integers(1, 12)))]
        held.append(some_cash_flows(f"FLOWS-{number}", *flows))

    def value(instrument: Instrument, state: State) -> float:
        terms = instrument.terms
        if instrument.instrument_id.startswith("NDF"):
            flows = [("EUR", 1.0, terms.settlement_date), ("USD", -float(terms.contract_rate), terms.settlement_date)]
        else:
            flows = [(flow.asset, float(flow.amount), flow.payment_date) for flow in terms.flows]
        price = {"EUR": state["fx:EUR"], "USD": 1.0}
        curves = {asset: zero_curve(state, asset) for asset in price}
        return sum(amount * curves[asset].discount(ql_date(day)) * price[asset] for asset, amount, day in flows)

    case.check(held, value)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("premium", [PremiumStyle.CASH_PAID, PremiumStyle.MARGINED])
def test_options_on_futures(seed, premium):
    case = Case(seed)
    options = []
    for number in range(INSTRUMENTS):
        expiry = AS_OF + timedelta(days=int(case.random.integers(1, 400)))
        options.append(
            an_option(
                f"OPTION-{number}",
                right=case.one_of(list(OptionRight)),
                strike=f"{60_000 * np.exp(case.random.normal(scale=0.4)):.2f}",
                premium=premium,
                expiry=expiry,
                future_expiry=expiry + timedelta(days=int(case.random.integers(0, 200))),
            )
        )

    def value(instrument: Instrument, state: State) -> float:
        terms = instrument.terms
        years, future_years = ((moment - AS_OF).days / 365 for moment in (terms.expiry, terms.future_expiry))
        forward = state["spot:BTC"] * np.exp(node(state, "basis:BTC", future_years) * future_years)
        deviation = surface(case.states[0], state, "vol:BTC", years) * np.sqrt(years)
        discount = zero_curve(state, "USD").discount(years) if premium is PremiumStyle.CASH_PAID else 1.0
        return ql.blackFormula(payoff_of(terms).optionType(), float(terms.strike), forward, deviation) * discount

    case.check(options, value, atol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("longest_days", [60, 1825])
def test_american_options(seed, longest_days):
    """Against Andersen, Lake and Offengenden's engine at its highest precision; calls with carry below the rate are exercised early.

    Rates are high enough to stay above zero, below which the engine refuses some puts.
    """
    case = Case(seed, {f"zero:{name}": "0.06" for name in NODES if name.startswith("USD")})
    options = [
        an_american_option(
            f"OPTION-{number}",
            right=case.one_of(list(OptionRight)),
            strike=f"{60_000 * np.exp(case.random.normal(scale=0.3)):.2f}",
            expiry=AS_OF + timedelta(days=int(case.random.integers(1, longest_days))),
        )
        for number in range(8)
    ]

    def value(instrument: Instrument, state: State) -> float:
        terms = instrument.terms
        days = (terms.expiry - AS_OF).days
        years = days / 365
        rate, carry = node(state, "zero:USD", years), node(state, "basis:BTC", years)
        sigma = surface(case.states[0], state, "vol:BTC", years)
        return american(state["spot:BTC"], payoff_of(terms), days, rate, carry, sigma)

    case.check(options, value, rtol=AMERICAN_TOLERANCE, atol=AMERICAN_TOLERANCE * 600)


def american(  # noqa: PLR0917 - the parameters of one option, in their usual order
    spot: float, payoff: ql.PlainVanillaPayoff, days: int, rate: float, carry: float, sigma: float
) -> float:
    option, process = american_option(spot, payoff, days, rate, carry, sigma)
    option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme()))
    return option.NPV()


def american_option(  # noqa: PLR0917 - the parameters of one option, in their usual order
    spot: float, payoff: ql.PlainVanillaPayoff, days: int, rate: float, carry: float, sigma: float
) -> tuple[ql.VanillaOption, ql.BlackScholesMertonProcess]:
    flat = [ql.YieldTermStructureHandle(ql.FlatForward(TODAY, each, DAY_COUNT)) for each in (rate - carry, rate)]
    volatility = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(TODAY, ql.NullCalendar(), sigma, DAY_COUNT))
    process = ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(spot)), *flat, volatility)
    return ql.VanillaOption(payoff, ql.AmericanExercise(TODAY, TODAY + days)), process


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("smallest_rate", "largest_carry"), [(None, 0.10), (1e-6, 0.10), (1e-6, 0.25)])
def test_american_options_over_the_whole_range(seed, smallest_rate, largest_carry):
    """Two days to five years, rates -1% to 10%, carry either way, volatilities 5% to 150%, strikes within two deviations.

    Near a rate of zero the strike bears hardly any interest, and the boundary is found slowly; it bends sharply where carry is large beside
    volatility. Where the put's rate is below zero and its income below that there are two boundaries: QuantLib's engine refuses, and
    `test_american_options_with_two_boundaries` takes the pair.
    """
    random = np.random.default_rng(seed)
    wrong = []
    for _ in range(120):
        days = int(np.exp(random.uniform(np.log(2), np.log(1825))))
        rate = random.uniform(-0.01, 0.10) if smallest_rate is None else 10 ** random.uniform(np.log10(smallest_rate), -2)
        carry, sigma = random.uniform(-largest_carry, largest_carry), np.exp(random.uniform(np.log(0.05), np.log(1.5)))
        sign = float(random.choice([-1, 1]))
        strike = 100.0 * np.exp(random.uniform(-2, 2) * sigma * np.sqrt(days / 365))
        put_rate, put_income = (rate, rate - carry) if sign < 0 else (rate - carry, rate)
        if put_rate < 0 and put_income < put_rate:
            continue
        expected = american(100.0, right_of(sign, strike), days, rate, carry, sigma)
        (found,) = american_price(spot=100.0, strike=strike, years=days / 365, rate=rate, carry=carry, volatility=sigma, sign=sign)
        if abs(found - expected) > max(AMERICAN_TOLERANCE * expected, 1e-5):
            wrong.append((days, rate, carry, sigma, sign, strike, expected, found))
    assert wrong == []


@pytest.mark.parametrize(
    "option",
    [(1312, 0.038679, 0.223609, 0.073461, -1.0, 100.270475), (1311, 0.000472, -0.104227, 0.053972, 1.0, 99.96486)],
)
def test_american_options_whose_boundary_bends_sharply(option):
    """Carry of several deviations over the life, found among 1,500 random options as those for which ten nodes are not enough."""
    days, rate, carry, sigma, sign, strike = option
    expected = american(100.0, right_of(sign, strike), days, rate, carry, sigma)
    (found,) = american_price(spot=100.0, strike=strike, years=days / 365, rate=rate, carry=carry, volatility=sigma, sign=sign)
    assert found == pytest.approx(expected, rel=AMERICAN_TOLERANCE)


@pytest.mark.parametrize("seed", SEEDS)
def test_american_options_with_two_boundaries(seed):
    """Rates to -5% and income below that by up to 25%: exercised between two prices. Against finite differences, extrapolated in time.

    What the grid misses of a European option is taken off: far out of the money that is more than the right to exercise is worth.
    """
    random = np.random.default_rng(seed)
    wrong = []
    for _ in range(40):
        days = int(np.exp(random.uniform(np.log(2), np.log(1825))))
        put_rate = -(10 ** random.uniform(-5, -1.3))
        put_income = put_rate - 10 ** random.uniform(-3.5, -0.6)
        sigma, sign = np.exp(random.uniform(np.log(0.05), np.log(1.5))), float(random.choice([-1, 1]))
        rate, carry = (put_rate, put_rate - put_income) if sign < 0 else (put_income, put_income - put_rate)
        strike = 100.0 * np.exp(random.uniform(-2, 2) * sigma * np.sqrt(days / 365))
        option, process = american_option(100.0, right_of(sign, strike), days, rate, carry, sigma)
        european = ql.VanillaOption(right_of(sign, strike), ql.EuropeanExercise(TODAY + days))
        coarse, fine = (on_grid(option, process, steps) - on_grid(european, process, steps) for steps in (400, 800))
        european.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        expected = european.NPV() + 2 * fine - coarse
        (found,) = american_price(spot=100.0, strike=strike, years=days / 365, rate=rate, carry=carry, volatility=sigma, sign=sign)
        if abs(found - expected) > max(AMERICAN_TOLERANCE * expected, 5e-4):
            wrong.append((days, rate, carry, sigma, sign, strike, expected, found))
    assert wrong == []


def right_of(sign: float, strike: float) -> ql.PlainVanillaPayoff:
    return ql.PlainVanillaPayoff(ql.Option.Call if sign > 0 else ql.Option.Put, strike)


def on_grid(option: ql.VanillaOption, process: ql.BlackScholesMertonProcess, steps: int) -> float:
    option.setPricingEngine(ql.FdBlackScholesVanillaEngine(process, steps, 2 * steps))
    return option.NPV()
