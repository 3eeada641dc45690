"""One snapshot under one scenario set: levels of factors, prices of assets and curves, in the base state and in every scenario."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.depeg_parameters import DepegParameters
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.instrument import Cash, Instrument, Stablecoin, check_trade_price
from crossmargin.domain.market import DAYS_PER_YEAR, FactorId, FactorKind, MarketSnapshot
from crossmargin.domain.peg import Peg, used_price
from crossmargin.domain.risk_parameters import OffsetGroup, RiskParameters
from crossmargin.engine.axes import ByState, Index
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.revaluation.shocked_curve import ShockedCurve
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

_SECONDS_PER_YEAR: Final = DAYS_PER_YEAR * 86_400


class ShockedMarket:
    """What every revaluer reads. Arrays are [M]: the base state first, then the scenarios.

    `bases` [B] are the states along axis M that a market starts from: the base state, unless the scenarios hold moved states. What an
    instrument weighs rather than gains or loses, such as its exposure, is wanted there alone.

    Methods that read a factor raise DomainError MISSING_RISK_FACTOR when the snapshot has no level of it, UNMAPPED_RISK_FACTOR when
    it is in no offset group, and the scenario set's own error when it cannot be shocked.
    """

    def __init__(
        self,
        *,
        assets: Mapping[InstrumentId, Instrument],
        snapshot: MarketSnapshot,
        scenarios: ScenarioSet,
        parameters: RiskParameters,
        bases: Sequence[int] = (0,),
        kernels: Kernels = Kernels.NUMPY,
    ) -> None:
        self.assets = assets
        self.scenarios = scenarios
        self.kernels = kernels
        self.bases: Index = np.array(bases, dtype=np.int64)
        self._snapshot = snapshot
        self._parameters = parameters
        self._prices: dict[InstrumentId, ByState] = {}
        self._curves: dict[str, ShockedCurve] = {}

    @cached_property
    def base_of(self) -> Index:
        """[M] the state that each state is a move of: the last of `bases` up to it; itself before the first."""
        states = np.arange(1 + len(self.scenarios.names))
        place = np.searchsorted(self.bases, states, side="right") - 1
        return np.where(place < 0, states, self.bases[np.maximum(place, 0)])

    @property
    def marks(self) -> Mapping[InstrumentId, Decimal]:
        """Quoted prices of instruments, as the instrument quotes them."""
        return self._snapshot.marks

    @property
    def pegs(self) -> Mapping[InstrumentId, Peg]:
        """What is remembered of stablecoins."""
        return self._snapshot.pegs

    @property
    def depeg_rules(self) -> DepegParameters:
        """How long a depeg may last, and how far it may go."""
        return self._parameters.charges.depeg

    def used_fraction(self, coin: Instrument, currency: FactorId | None) -> float:
        """Return what a holding of a stablecoin counts at over its price, from above 0 to 1, and exactly 1 where they are the same.

        `currency` is what it is pegged to, None for the base currency. Of the snapshot as it is: a move takes both prices along.
        """
        peg = self.pegs.get(coin.instrument_id)
        if peg is None:
            return 1.0
        price = self.marks.get(coin.instrument_id, self._snapshot.levels.get(spot_factor(coin.instrument_id), Decimal(0)))
        rate = Decimal(1) if currency is None else self.level_of(currency)
        used = used_price(price, rate, peg)
        return 1.0 if used == price else float(used) / float(price)

    @cached_property
    def as_of(self) -> datetime:
        """The time of the snapshot, UTC."""
        return self._snapshot.as_of.astimezone(UTC)

    def mark(self, instrument: Instrument) -> float | None:
        """Return the quoted price of an instrument, or None."""
        mark = self.marks.get(instrument.instrument_id)
        return None if mark is None else float(mark)

    def level(self, factor: FactorId) -> float:
        """Return the base level of a factor."""
        return float(self.level_of(factor))

    def level_of(self, factor: FactorId) -> Decimal:
        """Return the base level of a factor, exactly."""
        if factor not in self._snapshot.levels:
            raise self._missing_factor(factor, "level")
        return self._snapshot.levels[factor]

    def _missing_factor(self, factor: FactorId, what: str) -> DomainError:
        """Return the error for a factor; of a spot price where there are only prices for delivery, that publishing it is not the way."""
        is_delivered = any(other.kind is FactorKind.PRICE and other.name == factor.name for other in self._snapshot.levels)
        if factor.kind is not FactorKind.SPOT or not is_delivered:
            return _missing(str(factor), what)
        return DomainError(
            Reason.MISSING_RISK_FACTOR,
            f"{factor.name} has no spot price, only prices for delivery, which may be below zero; expected a dated future with "
            "price_may_be_negative: options, perpetuals and forwards rest on a price that stays above zero",
            factor=str(factor),
        )

    def moves(self, factor: FactorId) -> ByState:
        """Return [M] the factor's log-returns or differences from the base state: 0 first."""
        if factor in self.scenarios.unavailable:
            raise self.scenarios.unavailable[factor]
        if factor not in self.scenarios.column_of:
            raise self._missing_factor(factor, "scenario")
        moves: ByState = self._moves_by_factor[self.scenarios.column_of[factor]]
        return moves

    def group(self, factor: FactorId) -> OffsetGroup:
        """Return the offset group of a factor."""
        return self._parameters.group_of(factor)

    def curve_group(self, curve: str) -> OffsetGroup:
        """Return the offset group of a curve that has nodes."""
        return self.group(self._nodes_of_curve[curve][0])

    def price(self, asset_id: InstrumentId) -> ByState:
        """Return [M] base value of one unit of a money or coin: its mark if it has one, else its factor, moved as the factor moves."""
        if asset_id not in self._prices:
            self._prices[asset_id] = self._priced(self.assets[asset_id])
        return self._prices[asset_id]

    def price_group(self, asset_id: InstrumentId) -> OffsetGroup | None:
        """Return the offset group that the price of a money or coin belongs to; None for the base currency."""
        factor = price_factor(self.assets[asset_id])
        return None if factor is None else self.group(factor)

    def curve(self, name: str) -> ShockedCurve:
        """Return the curve of all nodes of the snapshot that share a name without tenor, such as `zero:USD`."""
        if name not in self._nodes_of_curve:
            raise _missing(f"{name}:*", "level of any node")
        if name not in self._curves:
            self._curves[name] = self._read_curve(name)
        return self._curves[name]

    def has_curve(self, name: str) -> bool:
        """Return whether the snapshot has any node of a curve."""
        return name in self._nodes_of_curve

    def years_until(self, moment: datetime) -> float:
        """Return actual/365 from the snapshot to a moment, negative for the past."""
        return (moment - self.as_of).total_seconds() / _SECONDS_PER_YEAR

    def years_until_days(self, days: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Return [D] actual/365 from the snapshot to 00:00 UTC of each day; 0 for the snapshot's own day and before."""
        midnight = datetime.combine(self.as_of.date(), time(), UTC)
        whole_days = (days - np.datetime64(self.as_of.date(), "D")).astype(np.int64)
        seconds = whole_days * 86_400.0 - (self.as_of - midnight).total_seconds()
        years: NDArray[np.float64] = np.maximum(seconds, 0.0) / _SECONDS_PER_YEAR
        return years

    def years_until_day(self, day: date) -> float:
        """Return actual/365 from the snapshot to 00:00 UTC of a day; 0 for the snapshot's own day and before."""
        return float(self.years_until_days(np.array([day], dtype="datetime64[D]"))[0])

    @cached_property
    def _moves_by_factor(self) -> NDArray[np.float64]:
        """[F, M] moves of each factor from the base state, rows contiguous."""
        moves = np.zeros((len(self.scenarios.factors), 1 + len(self.scenarios.names)))
        moves[:, 1:] = self.scenarios.shocks.T
        return moves

    @cached_property
    def _nodes_of_curve(self) -> Mapping[str, list[FactorId]]:
        nodes: defaultdict[str, list[FactorId]] = defaultdict(list)
        for factor in sorted(self._snapshot.levels, key=lambda factor: (factor.tenor_years, factor)):
            nodes[factor.curve].append(factor)
        return dict(nodes)

    def _priced(self, asset: Instrument) -> ByState:
        factor = price_factor(asset)
        if factor is None:
            return np.ones(1 + len(self.scenarios.names))
        self.group(factor)
        mark = self.mark(asset)
        if mark is not None:
            check_trade_price(asset, self.marks[asset.instrument_id])
        price: ByState = (self.level(factor) if mark is None else mark) * np.exp(self.moves(factor))
        if not np.isfinite(price).all():
            raise not_finite(asset)
        return price

    def _read_curve(self, name: str) -> ShockedCurve:
        nodes = self._nodes_of_curve[name]
        unavailable: dict[int, DomainError] = {}
        moves = np.full((len(nodes), 1 + len(self.scenarios.names)), np.nan)
        for row, node in enumerate(nodes):
            try:
                moves[row] = self.moves(node)
            except DomainError as error:
                unavailable[row] = error.with_traceback(None)
        years = np.array([node.tenor_years for node in nodes])
        return ShockedCurve(years, np.array([self.level(node) for node in nodes]), moves, unavailable, self.kernels)


def spot_factor(underlying: InstrumentId) -> FactorId:
    """Return the factor that is the USD price of an underlying."""
    return FactorId(FactorKind.SPOT.value, underlying)


def price_factor(asset: Instrument) -> FactorId | None:
    """Return the factor that the price of a money or coin follows; None for the base currency, whose price is 1."""
    if isinstance(asset.terms, Cash):
        currency = asset.terms.currency
        return None if currency == BASE_CURRENCY else FactorId(FactorKind.FX.value, currency)
    return spot_factor(asset.instrument_id)


def peg_factor(coin: Instrument) -> FactorId | None:
    """Return the factor of the currency that a stablecoin is pegged to; None for the base currency, and for what has no peg."""
    if not isinstance(coin.terms, Stablecoin) or coin.terms.pegged_to == BASE_CURRENCY:
        return None
    return FactorId(FactorKind.FX.value, coin.terms.pegged_to)


def discount_curve(asset: Instrument) -> str:
    """Return the name of the zero curve that discounts payments of an asset: a stablecoin's is that of the currency it is pegged to."""
    match asset.terms:
        case Cash(currency=currency) | Stablecoin(pegged_to=currency):
            return f"{FactorKind.ZERO.value}:{currency}"
        case _:
            return f"{FactorKind.ZERO.value}:{asset.instrument_id}"


def not_finite(instrument: Instrument) -> DomainError:
    """Return the error for an instrument that the market drives beyond what a number can hold."""
    return DomainError(
        Reason.INVALID_SNAPSHOT,
        f"value of {instrument.instrument_id} is not a finite number in some scenario; check the levels, marks and stress moves it "
        "depends on",
        instrument=instrument.instrument_id,
    )


def _missing(factor: str, what: str) -> DomainError:
    return DomainError(Reason.MISSING_RISK_FACTOR, f"risk factor {factor} has no {what}; publish it", factor=factor)
