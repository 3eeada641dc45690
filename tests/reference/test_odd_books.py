"""Books that a clearing-house quant would try, against loops that know nothing of the engine: a value in every scenario, and its tail mean.

Each account is isolated, where the market requirement is the tail mean of its whole profit, so that a few lines of scalar arithmetic, scipy
and QuantLib are an oracle from the levels of the market to the requirement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm

from crossmargin.domain.account import AccountMode
from crossmargin.domain.instrument import OptionRight, Payoff, PremiumStyle
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from crossmargin.engine.revaluation import revalue_market
from tests.builders import a_portfolio
from tests.reference.test_prices_against_quantlib import ql
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    ASSETS,
    EXPIRY,
    LEVELS,
    a_bill,
    a_bond,
    a_bond_future,
    a_delivery_future,
    a_forward,
    a_future,
    a_perpetual,
    a_snapshot,
    a_swap,
    an_american_option,
    an_fx_option,
    an_ndf,
    an_option,
    parameters,
    random_scenarios,
    some_cash_flows,
)

COUNT, ALPHA = 40, Fraction(1, 10)
RULES = parameters(tail_fraction=str(float(ALPHA)), offset_within_class="1", offset_across_classes="1")
Levels = dict[str, float]
Worth = Callable[[Levels], float]

NEAR, FAR, FIRST, LAST = date(2026, 6, 1), date(2027, 3, 1), date(2026, 9, 1), date(2030, 3, 1)


def years(moment: date) -> float:
    when = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return max(0.0, (when - AS_OF).total_seconds()) / (365 * 86_400)


def tenor(node: str) -> float:
    number, unit = float(node[:-1]), node[-1]
    return number if unit == "Y" else number / 12


def read(levels: Levels, curve: str, at: float) -> float:
    """Linear between nodes, flat beyond them."""
    nodes = sorted((tenor(name.rsplit(":", 1)[1]), level) for name, level in levels.items() if name.startswith(f"{curve}:"))
    below = [node for node in nodes if node[0] <= at]
    above = [node for node in nodes if node[0] >= at]
    if not below or not above:
        return (below or above)[-1 if below else 0][1]
    (left, low), (right, high) = below[-1], above[0]
    return low if right == left else low + (high - low) * (at - left) / (right - left)


def df(levels: Levels, currency: str, day: date) -> float:
    return math.exp(-read(levels, f"zero:{currency}", years(day)) * years(day))


def forward(levels: Levels, expiry: datetime) -> float:
    return levels["spot:BTC"] * math.exp(read(levels, "basis:BTC", years(expiry)) * years(expiry))


def black(sign: int, price: float, strike: float, width: float) -> float:
    d1 = math.log(price / strike) / width + width / 2
    return sign * (price * norm.cdf(sign * d1) - strike * norm.cdf(sign * (d1 - width)))


def vol(levels: Levels, pair: str, expiry: datetime) -> float:
    """Levels and log-moves are each linear between tenors."""
    at = years(expiry)
    return read(levels, f"vol:{pair}", at) * math.exp(read(levels, f"move:vol:{pair}", at))


def option(levels: Levels, sign: int, strike: float, expiry: datetime) -> float:
    """Undiscounted, in dollars."""
    return black(sign, forward(levels, expiry), strike, vol(levels, "BTC", expiry) * math.sqrt(years(expiry)))


def bond(levels: Levels, after: date, coupon: float = 0.0425) -> list[tuple[date, float]]:
    days = [date(year, month, 15) for year in range(2024, 2035) for month in (5, 11)]
    return [(day, coupon / 2 + (day == date(2034, 5, 15))) for day in days if after < day <= date(2034, 5, 15)]


def bond_future(levels: Levels) -> float:
    """Per 100, at a factor of 0.85 and delivery on 2026-06-30: 46 days of the half-year that began on 15 May have accrued."""
    delivery = date(2026, 6, 30)
    dirty = sum(amount * df(levels, "USD", day) for day, amount in bond(levels, delivery)) / df(levels, "USD", delivery)
    accrued = 0.02125 * (delivery - date(2026, 5, 15)).days / (date(2026, 11, 15) - date(2026, 5, 15)).days
    return 100 * (dirty - accrued) / 0.85


def swap(levels: Levels) -> float:
    """Receives floating and pays 3% from 2026-09-15 to 2029-09-15, actual/360."""
    days = [date(year, 9, 15) for year in (2026, 2027, 2028, 2029)]
    fixed = sum(0.03 * (end - start).days / 360 * df(levels, "USD", end) for start, end in pairwise(days))
    return df(levels, "USD", days[0]) - df(levels, "USD", days[-1]) - fixed


def american_put(levels: Levels, strike: float) -> float:
    """A finite-difference solver of QuantLib on a flat rate and a flat carry."""
    at = years(EXPIRY)
    rate, carry, sigma = read(levels, "zero:USD", at), read(levels, "basis:BTC", at), vol(levels, "BTC", EXPIRY)
    today = ql.Date(2, 3, 2026)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()

    def flat(level: float) -> ql.YieldTermStructureHandle:
        return ql.YieldTermStructureHandle(ql.FlatForward(today, level, count))

    volatility = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), sigma, count))
    spot = ql.QuoteHandle(ql.SimpleQuote(levels["spot:BTC"]))
    process = ql.BlackScholesMertonProcess(spot, flat(rate - carry), flat(rate), volatility)
    put = ql.VanillaOption(ql.PlainVanillaPayoff(ql.Option.Put, strike), ql.AmericanExercise(today, today + 73))
    put.setPricingEngine(ql.FdBlackScholesVanillaEngine(process, 400, 800))
    return put.NPV()


NEGATIVE = {"zero:EUR:3M": "-0.006", "zero:EUR:10Y": "-0.002", "zero:USD:1M": "-0.01", "zero:USD:1Y": "-0.004", "zero:USD:5Y": "-0.001"}
HOUR = AS_OF + timedelta(hours=1)
TODAY = AS_OF.date()
BILLION = 1_000_000_000

# Name: what is held as (instrument or id, quantity, cost), the value of all of it at some levels, and levels that are not the usual ones.
BOOKS: dict[str, tuple[list[tuple[object, float, float]], Worth, dict[str, str]]] = {
    "a stablecoin owed": ([("USDC", -1e6, 0)], lambda at: -1e6 * at["spot:USDC"], {}),
    "a bill and a swap at negative rates": (
        [(a_bill(settlement="EUR", maturity=FAR), 1e6, 0), (a_swap(start=date(2026, 9, 15), maturity=date(2029, 9, 15), fixed="0.03",
          accrued=0, accrued_until=date(2026, 9, 15)), -1e6, 0)],
        lambda at: 1e6 * df(at, "EUR", FAR) * at["fx:EUR"] - 1e6 * swap(at),
        NEGATIVE,
    ),
    "an option in its last hour": (
        [(an_option(expiry=HOUR, strike=60_000, premium=PremiumStyle.MARGINED), -5, -5 * 300)],
        lambda at: -5 * (option(at, 1, 60_000, HOUR) - 300),
        {},
    ),
    "a forward and payments of today": (
        [(a_forward(delivery=TODAY), 1e6, 0), (some_cash_flows("FLOWS", ("EUR", -1, TODAY), ("BTC", "0.00001", TODAY)), 1e6, 0)],
        lambda at: 1e6 * (at["fx:EUR"] - 1.12) + 1e6 * (-at["fx:EUR"] + 0.00001 * at["spot:BTC"]),
        {},
    ),
    "a calendar spread of non-deliverable forwards": (
        [(an_ndf("FAR", rate="1.13", fixing=FAR, payment=FAR), 5e7, 0), (an_ndf("NEAR", rate="1.11", fixing=NEAR, payment=NEAR), -5e7, 0)],
        lambda at: 5e7
        * (
            at["fx:EUR"] * (df(at, "EUR", FAR) - df(at, "EUR", NEAR)) - 1.13 * df(at, "USD", FAR) + 1.11 * df(at, "USD", NEAR)
        ),
        {},
    ),
    "a bond against its own future": (
        [(a_bond(), 1e6, 0), (a_bond_future(), -12, -12 * 1000 * 118.0)],
        lambda at: 1e6 * sum(amount * df(at, "USD", day) for day, amount in bond(at, TODAY)) - 12 * 1000 * (bond_future(at) - 118.0),
        {},
    ),
    "an American put far in the money": (
        [(an_american_option(strike=150_000), 3, 0)], lambda at: 3 * american_put(at, 150_000), {},
    ),
    "an American put at the money, short": ([(an_american_option(strike=60_000), -3, 0)], lambda at: -3 * american_put(at, 60_000), {}),
    "a margined call against one that is paid for": (
        [(an_option("MARGINED", premium=PremiumStyle.MARGINED), 10, 10 * 6000), (an_option("PAID"), -10, 0)],
        lambda at: 10 * (option(at, 1, 60_000, EXPIRY) * (1 - df(at, "USD", EXPIRY)) - 6000),
        {},
    ),
    "nothing of one thing and something of another": (
        [(a_perpetual("NOTHING"), 0, 0), (a_perpetual(), 1, 60_000)], lambda at: at["spot:BTC"] - 60_000, {},
    ),
    "a billion coins against a billion futures": (
        [("BTC", BILLION, 0), (a_future(), -BILLION, -BILLION * 61_000.0)],
        lambda at: BILLION * (at["spot:BTC"] - forward(at, EXPIRY) + 61_000.0),
        {},
    ),
    "a coin of a hundred-millionth of a dollar": (
        [("ETH", 1e13, 0), (a_perpetual(), "-0.00000001", "-0.0006")],
        lambda at: 1e13 * at["spot:ETH"] - 1e-8 * (at["spot:BTC"] - 60_000),
        {"spot:ETH": "0.00000001"},
    ),
    "a short inverse perpetual and the coins that hedge it": (
        [(a_perpetual("INVERSE", settlement="BTC", payoff=Payoff.INVERSE, multiplier=100), -600, 1), ("BTC", 1, 0)],
        lambda at: at["spot:BTC"] * (600 * 100 / at["spot:BTC"] - 1.0) + at["spot:BTC"],
        {},
    ),
    "put-call parity": (
        [(an_option("CALL"), 7, 0), (an_option("PUT", right=OptionRight.PUT), -7, 0), (a_future(), -7, -7 * 60_000.0)],
        lambda at: 7 * (forward(at, EXPIRY) - 60_000.0) * (df(at, "USD", EXPIRY) - 1.0),
        {},
    ),
    "a coin-settled put against one paid in dollars": (
        [
            (an_option("COIN", right=OptionRight.PUT, strike=50_000, premium=PremiumStyle.COIN_SETTLED), -4, 0),
            (an_option("CASH", right=OptionRight.PUT, strike=50_000), 4, 0),
        ],
        lambda at: 4
        * option(at, -1, 50_000, EXPIRY)
        * (df(at, "USD", EXPIRY) - at["spot:BTC"] / forward(at, EXPIRY)),
        {},
    ),
    "a cross of two currencies and its option": (
        [
            (a_forward(sold="GBP", rate="0.85", delivery=FIRST), 1e6, 0),
            (an_fx_option(settlement="GBP", strike="0.85", right=OptionRight.PUT), 1e6, 0),
        ],
        lambda at: 1e6 * (at["fx:EUR"] * df(at, "EUR", FIRST) - 0.85 * at["fx:GBP"] * df(at, "GBP", FIRST))
        + 1e6 * at["fx:GBP"] * df(at, "GBP", EXPIRY) * black(
            -1, at["fx:EUR"] / at["fx:GBP"] * df(at, "EUR", EXPIRY) / df(at, "GBP", EXPIRY), 0.85,
            vol(at, "EURGBP", EXPIRY) * math.sqrt(years(EXPIRY)),
        ),
        {},
    ),
    "oil below nothing": (
        [(a_delivery_future(expiry=AS_OF + timedelta(days=20)), 10, 10 * 1000 * -4.0)],
        lambda at: 10 * 1000 * (read(at, "price:WTI", 20 / 365) + 4.0),
        {},
    ),
    "a forward on a coin against the future of its day": (
        [
            (a_forward("COIN", bought="BTC", rate=61_000, delivery=FIRST), 20, 0),
            (a_future("DAY", expiry=datetime(2026, 9, 1, tzinfo=UTC)), -20, -20 * 61_000.0),
        ],
        lambda at: 20 * (forward(at, datetime(2026, 9, 1, tzinfo=UTC)) - 61_000.0) * (df(at, "USD", FIRST) - 1.0),
        {},
    ),
}  # fmt: skip
# Relative to the sum of the absolute values held. Early exercise is an approximation on both sides.
TOLERANCE = {"an American put far in the money": 3e-4, "an American put at the money, short": 3e-4}


@pytest.mark.parametrize("name", BOOKS)
def test_value_profit_and_requirement_are_those_of_a_slow_loop(name):
    held, worth, changes = BOOKS[name]
    snapshot = a_snapshot(changes)
    scenarios = random_scenarios(snapshot, COUNT, seed=7)
    instruments = [*ASSETS, *(each for each, *_ in held if not isinstance(each, str))]
    market = revalue_market(instruments, snapshot, scenarios, RULES)
    book = {str(each if isinstance(each, str) else each.instrument_id): (quantity, cost) for each, quantity, cost in held}
    portfolio = a_portfolio(book, mode=AccountMode.ISOLATED)
    arrays = portfolio_arrays(portfolio, market)
    figures = margin_figures(arrays, market, margin_rates(RULES, AccountMode.ISOLATED), haircut_rates(RULES))

    levels = {name: float(level) for name, level in (dict(LEVELS) | changes).items()}
    base, *states = [
        _moved(levels, dict(zip(map(str, scenarios.factors), shock, strict=True)))
        for shock in (0.0 * scenarios.shocks[0], *scenarios.shocks)
    ]
    expected = [worth(state) - worth(base) for state in states]
    scale = TOLERANCE.get(name, 1e-10) * float(np.abs(arrays.quantity * market.unit_value[arrays.row]).sum() + 1)
    assert float(figures.split.market_value.sum()) == pytest.approx(worth(base), abs=scale)
    assert _profits(arrays, market) == pytest.approx(np.array(expected), abs=scale)
    if not figures.split.collateral:
        tail = sorted(expected)[: int(COUNT * ALPHA)]
        requirement = max(0.0, -sum(tail) / len(tail))
        assert figures.market_requirement == pytest.approx(requirement, abs=scale)
        shown = float(compute_margin(portfolio, market, RULES).requirement.market_requirement)
        assert requirement - scale - 0.001 <= shown <= requirement + scale + 0.011


def _profits(arrays, market):
    units = arrays.quantity, -arrays.cost
    rows = arrays.row, market.settlement_row[arrays.row]
    return sum(
        quantity * market.leg_pnl[leg]
        for held, row in zip(units, rows, strict=True)
        for quantity, place in zip(held, row, strict=True)
        for leg in range(market.first_leg[place], market.first_leg[place + 1])
    )


def _moved(levels: Levels, moves: Levels) -> Levels:
    prices = {name: level * math.exp(moves[name]) for name, level in levels.items() if name.split(":")[0] in {"spot", "fx"}}
    differences = {name: level + moves[name] for name, level in levels.items() if name.split(":")[0] in {"zero", "basis", "price"}}
    volatilities = {name: level for name, level in levels.items() if name.startswith("vol:")}
    return prices | differences | volatilities | {f"move:{name}": moves[name] for name in volatilities}
