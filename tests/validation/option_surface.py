"""Prices every listed option of one real snapshot through the engine and holds the result against formulas of its own."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import CryptoAsset, EuropeanOption, Instrument, OptionRight, PremiumStyle
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.kernels import black76 as engine_black76
from crossmargin.engine.revaluation import revalue_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.scenarios.stress import stress_moves
from tests.validation.black76 import bounds, coin_price, implied_volatility
from tests.validation.market_history import HistoryError, as_decimal, open_table

HALF_TICK: Final = 0.00005
"""Coins. The venue's tick is 0.0001 below a price of 0.005 and 0.0005 above; the stricter half is asked of all."""
EXPIRY_HOUR_UTC: Final = 8
ETH: Final = InstrumentId("ETH")
_SECONDS_PER_YEAR: Final = 365 * 86_400
_FILE_PREFIX: Final = "deribit_eth_options_"


@dataclass(frozen=True)
class Quote:
    """One listed option. `mark` is in coins per coin of the underlying, `forward` the venue's price of the underlying at expiry."""

    name: str
    right: OptionRight
    strike: float
    expiry: datetime
    years: float
    forward: float
    mark: float


@dataclass(frozen=True)
class OptionSnapshot:
    """All options of one moment, with one forward per expiry and the index."""

    as_of: datetime
    index: float
    quotes: tuple[Quote, ...]


@dataclass(frozen=True)
class OptionReport:
    """What the snapshot showed. Prices and errors in coins, volatilities as fractions.

    Attributes:
        outside_bounds: Names of options whose mark no volatility explains.
        base_error: [quotes] distance of the engine's value from the mark when nothing moves.
        repriced_error: [priced quotes] distance from the mark of this package's Black-76 at the volatility that the engine inverted.
        scenario_error: [priced quotes] largest distance, over the scenarios, of the engine's profit from the one worked out here.
        scenario_count: Scenarios of that comparison.
        parity_price_gap: [pairs] call - put - (1 - K/F) of the marks.
        parity_volatility_gap: [pairs] implied volatility of the call less that of the put.
        near_money: [pairs] True for strikes between 0.8 and 1.25 of the forward.
    """

    snapshot: OptionSnapshot
    outside_bounds: tuple[str, ...]
    base_error: NDArray[np.float64]
    repriced_error: NDArray[np.float64]
    scenario_error: NDArray[np.float64]
    scenario_count: int
    parity_price_gap: NDArray[np.float64]
    parity_volatility_gap: NDArray[np.float64]
    near_money: NDArray[np.bool_]

    @property
    def holds(self) -> bool:
        """True when every option that a volatility explains is within half a tick in each comparison."""
        errors = (self.base_error, self.repriced_error, self.scenario_error)
        return all(bool(error.max(initial=0.0) <= HALF_TICK) for error in errors)


def load_option_snapshot(folder: Path) -> OptionSnapshot:
    """Return the option snapshot of the folder; its time is in the name of the file.

    Raises:
        HistoryError: There is no such file, or more than one.
    """
    names = sorted({path.name.removesuffix(".gz").removesuffix(".csv") for path in folder.glob(f"{_FILE_PREFIX}*.csv*")})
    if len(names) != 1:
        raise HistoryError(f"{folder} holds {len(names)} files {_FILE_PREFIX}*.csv; expected one")
    as_of = datetime.strptime(names[0].removeprefix(_FILE_PREFIX), "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    with open_table(folder / names[0]) as lines:
        rows = list(csv.DictReader(lines))
    forward_of = _forward_by_expiry(rows)
    index = median(float(row["estimated_delivery_price"]) for row in rows)
    return OptionSnapshot(as_of, index, tuple(_quote(row, as_of, forward_of[row["expire_date"]]) for row in rows))


def check_options(snapshot: OptionSnapshot, parameters: RiskParameters) -> OptionReport:
    """Return how close the engine comes to the marks, and to this package's own revaluation in every stress event."""
    market = revalue_options(snapshot, parameters)
    explained = [quote for quote in snapshot.quotes if _is_explained(quote)]
    pairs = _pairs(explained)
    return OptionReport(
        snapshot=snapshot,
        outside_bounds=tuple(quote.name for quote in snapshot.quotes if not _is_explained(quote)),
        base_error=np.array([abs(_engine_coins(quote, market, snapshot) - quote.mark) for quote in snapshot.quotes]),
        repriced_error=np.array([abs(_repriced_at_engine_volatility(quote) - quote.mark) for quote in explained]),
        scenario_error=np.array([_scenario_error(quote, market, snapshot) for quote in explained]),
        scenario_count=len(market.scenarios.names),
        parity_price_gap=np.array([call.mark - put.mark - (1.0 - call.strike / call.forward) for call, put in pairs]),
        parity_volatility_gap=np.array([_volatility(call) - _volatility(put) for call, put in pairs]),
        near_money=np.array([0.8 <= call.strike / call.forward <= 1.25 for call, _ in pairs], dtype=np.bool_),
    )


def revalue_options(snapshot: OptionSnapshot, parameters: RiskParameters) -> RevaluedMarket:
    """Return the options revalued by the engine: unchanged first, then in every stress event of the parameters."""
    instruments = [Instrument(ETH, CryptoAsset(), 8, "ETH"), *(_instrument(quote) for quote in snapshot.quotes)]
    levels = _levels(snapshot)
    marks = {InstrumentId(quote.name): Decimal(str(quote.mark)) for quote in snapshot.quotes}
    market_snapshot = MarketSnapshot(snapshot.as_of, levels, marks)
    return revalue_market(instruments, market_snapshot, _scenarios(sorted(levels), parameters), parameters)


def exact_nodes(years: Sequence[float], rates: Sequence[float]) -> dict[str, float]:
    """Return nodes in whole days whose interpolation, linear between nodes and flat before the first, gives each rate at its time.

    Expiries fall on a fraction of a day and tenors do not: the node of each expiry is the day after it, its level solved from the node
    before it.

    >>> exact_nodes([1.5 / 365, 3.0 / 365], [0.10, 0.20])
    {'2D': 0.1, '3D': 0.2}
    """
    nodes: dict[str, float] = {}
    before_days, before = 0, 0.0
    for time, rate in zip(years, rates, strict=True):
        days = math.ceil(time * 365 - 1e-9)
        share = (time * 365 - before_days) / (days - before_days)
        level = rate if not nodes else (rate - (1.0 - share) * before) / share
        nodes[f"{days}D"] = level
        before_days, before = days, level
    return nodes


def _forward_by_expiry(rows: Sequence[dict[str, str]]) -> dict[str, float]:
    """One forward per expiry: rows of one expiry differ by the tick that passed while they were read."""
    prices: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        prices[row["expire_date"]].append(float(row["underlying_price"]))
    return {expiry: median(values) for expiry, values in prices.items()}


def _quote(row: dict[str, str], as_of: datetime, forward: float) -> Quote:
    expiry = datetime.strptime(row["expire_date"], "%d%b%y").replace(hour=EXPIRY_HOUR_UTC, tzinfo=UTC)
    right = OptionRight.CALL if row["option_type"] == "C" else OptionRight.PUT
    years = (expiry - as_of).total_seconds() / _SECONDS_PER_YEAR
    return Quote(row["instrument_name"], right, float(row["strike_price"]), expiry, years, forward, float(row["mark_price"]))


def _instrument(quote: Quote) -> Instrument:
    terms = EuropeanOption(ETH, ETH, Decimal(1), quote.right, Decimal(str(quote.strike)), quote.expiry, PremiumStyle.COIN_SETTLED)
    return Instrument(InstrumentId(quote.name), terms, 8)


def _levels(snapshot: OptionSnapshot) -> dict[FactorId, Decimal]:
    chains = sorted({(quote.years, quote.forward) for quote in snapshot.quotes})
    years = [time for time, _ in chains]
    carry = exact_nodes(years, [math.log(forward / snapshot.index) / time for time, forward in chains])
    volatility = exact_nodes(years, [_at_the_money(snapshot, time) for time in years])
    return (
        {FactorId("spot", ETH): as_decimal(snapshot.index)}
        | {FactorId("basis", ETH, tenor): as_decimal(level) for tenor, level in carry.items()}
        | {FactorId("vol", ETH, tenor): as_decimal(level) for tenor, level in volatility.items()}
    )


def _at_the_money(snapshot: OptionSnapshot, years: float) -> float:
    chain = [quote for quote in snapshot.quotes if quote.years == years and _is_explained(quote)]
    return _volatility(min(chain, key=lambda quote: abs(math.log(quote.strike / quote.forward))))


def _scenarios(factors: Sequence[FactorId], parameters: RiskParameters) -> ScenarioSet:
    names, shocks = stress_moves(factors, parameters)
    count = 1 + len(names)
    return ScenarioSet(
        factors=tuple(factors),
        shocks=np.concatenate([np.zeros((1, len(factors))), shocks]),
        weights=np.full(count, 1.0 / count),
        names=("unchanged", *names),
        ordinary_count=1,
        proxied={},
        unavailable={},
    )


def _is_explained(quote: Quote) -> bool:
    lower, upper = bounds(quote.right, forward=quote.forward, strike=quote.strike)
    return lower < quote.mark < upper


def _volatility(quote: Quote) -> float:
    volatility = implied_volatility(quote.right, quote.mark, forward=quote.forward, strike=quote.strike, years=quote.years)
    if volatility is None:
        raise ValueError(f"no volatility explains the mark {quote.mark} of {quote.name}")
    return volatility


def _repriced_at_engine_volatility(quote: Quote) -> float:
    """The price, by this package's formula, at the volatility that the engine's own inversion finds."""
    total = engine_black76.implied_total_volatility(
        price=quote.mark * quote.forward,
        forward=quote.forward,
        strike=quote.strike,
        sign=1.0 if quote.right is OptionRight.CALL else -1.0,
    )
    volatility = float(total) / math.sqrt(quote.years)
    return coin_price(quote.right, forward=quote.forward, strike=quote.strike, years=quote.years, volatility=volatility)


def _engine_coins(quote: Quote, market: RevaluedMarket, snapshot: OptionSnapshot) -> float:
    """Value of one option after the scenario in which nothing moves, in coins."""
    row = market.row_of[InstrumentId(quote.name)]
    return float(market.unit_value[row] + _profits(row, market)[0]) / snapshot.index


def _scenario_error(quote: Quote, market: RevaluedMarket, snapshot: OptionSnapshot) -> float:
    """Largest distance of the engine's profit from ours, in coins at the index: both move spot, carry and volatility together."""
    engine = _profits(market.row_of[InstrumentId(quote.name)], market)
    volatility, shocks = _volatility(quote), market.scenarios
    spot_moves = shocks.shocks[:, shocks.column_of[FactorId("spot", ETH)]]
    carry_moves, volatility_moves = (_along(kind, quote.years, shocks) for kind in ("basis", "vol"))
    ours = [
        coin_price(
            quote.right,
            forward=quote.forward * math.exp(spot + carry * quote.years),
            strike=quote.strike,
            years=quote.years,
            volatility=volatility * math.exp(vol),
        )
        * snapshot.index
        * math.exp(spot)
        - quote.mark * snapshot.index
        for spot, carry, vol in zip(spot_moves.tolist(), carry_moves.tolist(), volatility_moves.tolist(), strict=True)
    ]
    return float(np.abs(engine - np.array(ours)).max()) / snapshot.index


def _along(kind: str, years: float, shocks: ScenarioSet) -> NDArray[np.float64]:
    """[S] moves of a curve at a time, linear between its nodes."""
    nodes = sorted((factor for factor in shocks.factors if factor.kind_code == kind), key=lambda factor: factor.tenor_years)
    tenors = [node.tenor_years for node in nodes]
    return np.array([np.interp(years, tenors, row) for row in shocks.shocks[:, [shocks.column_of[node] for node in nodes]]])


def _profits(row: int, market: RevaluedMarket) -> NDArray[np.float64]:
    """[S] profit of one unit, all its legs together, USD."""
    return np.asarray(market.leg_pnl[market.leg_instrument == row].sum(axis=0))


def _pairs(quotes: Sequence[Quote]) -> list[tuple[Quote, Quote]]:
    """Call and put of equal strike and expiry."""
    puts = {(quote.expiry, quote.strike): quote for quote in quotes if quote.right is OptionRight.PUT}
    return [
        (quote, puts[quote.expiry, quote.strike])
        for quote in quotes
        if quote.right is OptionRight.CALL and (quote.expiry, quote.strike) in puts
    ]
