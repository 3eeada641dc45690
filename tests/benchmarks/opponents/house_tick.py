"""The whole tick of a house in C: what no tick changes laid out for it, a tick handed over, and what comes of it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    Bill,
    BondTerms,
    EuropeanOption,
    FixedRateBond,
    Instrument,
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
)
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.portfolio_arrays import charge_rates, haircut_rates
from crossmargin.engine.revaluation.fixed_rate_bond import coupon_days
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import price_factor
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from tests.benchmarks.opponents.compiled import kernels

TILE: Final = 32
REVALUATION_STAGES: Final = ("factors and assets", "options", "bonds", "perpetuals")
MARGIN_STAGES: Final = ("legs alone", "what is held", "product", "classes and accounts", "tail means", "charges, bands")
_BANDS: Final = ("watch", "at_risk", "margin_call", "liquidation")
_Arrays = dict[str, NDArray[Any] | int | float]


def _fields(kind: type, names: str) -> list[tuple[str, type]]:
    return [(name, kind) for name in names.split()]


class _Market(ctypes.Structure):
    """As in the C file, in its order."""

    _fields_: ClassVar = [
        *_fields(ctypes.c_int64, "states factors assets instruments legs groups classes chains options perpetuals bond_curves"),
        *_fields(ctypes.c_double, "now"),
        *_fields(
            ctypes.c_void_p,
            "level shock mark asset_factor curve_first curve_node curve_years chain_first chain_spot chain_carry chain_vol chain_zero "
            "chain_expiry option_row strike sign perpetual_row perpetual_spot perpetual_inverse bond_first bond_row flow_first flow_day_at "
            "flow_amount day_first day_curve day multiplier settlement asset_row own_leg price_leg tiled exposure unit_value "
            "settlement_price notional",
        ),
    ]


class _House(ctypes.Structure):
    """As in the C file, in its order."""

    _fields_: ClassVar = [
        *_fields(ctypes.c_int64, "accounts"),
        *_fields(
            ctypes.c_void_p,
            "first row quantity cost leg_group group_class instrument_group basis_kind is_option is_asset residual weight spread "
            "daily_volume mpor_days minimum_rate",
        ),
        *_fields(
            ctypes.c_double,
            "alpha within_class across_classes initial_multiple spread_multiple base_days participation perpetual_basis dated_basis "
            "short_option",
        ),
        *_fields(ctypes.c_void_p, "band_lines equity gross market_requirement maintenance initial band"),
    ]


@dataclass(frozen=True, slots=True)
class HouseInC:
    """A house laid out for C.

    Attributes:
        factors: In the order of the scenario set. names: Of the instruments along axis I.
        market, house: What C is handed, by the names that it has there.
    """

    factors: Sequence[FactorId]
    names: Sequence[InstrumentId]
    market: _Arrays
    house: _Arrays

    @staticmethod
    def of(
        portfolios: Sequence[Portfolio],
        market: RevaluedMarket,
        snapshot: MarketSnapshot,
        scenarios: ScenarioSet,
        parameters: RiskParameters,
    ) -> HouseInC:
        """Return accounts and a market laid out: of `market` what there is, and no number that a tick moves."""
        names = [each.instrument_id for each in market.instruments]
        return HouseInC(
            scenarios.factors, names, _laid_out(market, snapshot, scenarios), _accounts(portfolios, market, scenarios, parameters)
        )

    def at(self, snapshot: MarketSnapshot) -> None:
        """Take a snapshot in: the time, levels and marks as numbers, which is not timed."""
        self.market["now"] = snapshot.as_of.timestamp()
        self.market["level"] = np.array([float(snapshot.levels[factor]) for factor in self.factors])
        self.market["mark"] = np.array([float(snapshot.marks.get(name, 0)) for name in self.names])

    def tick(self) -> Mapping[str, float]:
        """Revalue the market and margin all accounts; return the seconds of each stage."""
        market, house = _filled(_Market, self.market), _filled(_House, self.house)
        took: dict[str, float] = {}
        for function, structures, stages in (
            ("tick_revalue", (market,), REVALUATION_STAGES),
            ("tick_margins", (market, house), MARGIN_STAGES),
        ):
            seconds = np.zeros(len(stages))
            called = getattr(kernels(), function)
            called.restype = None
            called(*(ctypes.byref(each) for each in structures), ctypes.c_void_p(seconds.ctypes.data))
            took |= dict(zip(stages, seconds.tolist(), strict=True))
        return took


def _filled(kind: type[ctypes.Structure], values: _Arrays) -> ctypes.Structure:
    return kind(**{name: each.ctypes.data if isinstance(each, np.ndarray) else each for name, each in values.items()})


def _laid_out(market: RevaluedMarket, snapshot: MarketSnapshot, scenarios: ScenarioSet) -> _Arrays:
    instruments = market.instruments
    column = {factor: place for place, factor in enumerate(scenarios.factors)}
    curves = sorted({factor.curve for factor in scenarios.factors})
    nodes = [
        sorted((factor for factor in scenarios.factors if factor.curve == curve), key=lambda each: each.tenor_years) for curve in curves
    ]
    assets = [each for each in instruments if each.is_asset]
    place_of = {each.instrument_id: place for place, each in enumerate(assets)}
    price_factors = [price_factor(each) for each in assets]
    tiles = -(-len(scenarios.names) // TILE)
    own, of_price = _legs(market)
    count = len(instruments)
    return {
        "states": 1 + len(scenarios.names),
        "factors": len(scenarios.factors),
        "assets": len(assets),
        "instruments": count,
        "legs": len(market.leg_group),
        "groups": len(market.groups),
        "classes": len(market.classes),
        "shock": np.ascontiguousarray(scenarios.shocks),
        "asset_factor": np.array([-1 if factor is None else column[factor] for factor in price_factors]),
        "curve_first": _starts([len(each) for each in nodes]),
        "curve_node": np.array([column[factor] for each in nodes for factor in each]),
        "curve_years": np.array([factor.tenor_years for each in nodes for factor in each], dtype=np.float64),
        "multiplier": np.array([float(getattr(each.terms, "multiplier", 1)) for each in instruments]),
        "settlement": np.array([place_of[each.settlement] for each in instruments]),
        "asset_row": np.array([market.row_of[each.instrument_id] for each in assets]),
        "own_leg": own,
        "price_leg": of_price,
        "tiled": np.zeros((tiles, len(market.leg_group), TILE)),
        "exposure": np.zeros(len(market.leg_group)),
        "unit_value": np.zeros(count),
        "settlement_price": np.zeros(count),
        "notional": np.zeros(count),
        **_chains(market, curves, column),
        **_perpetuals(market, column),
        **_bonds(market, snapshot, curves),
    }


def _legs(market: RevaluedMarket) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return [I] the leg of what an instrument does by itself, and that of the price of what it settles in; -1 for none."""
    own, of_price = np.full((2, len(market.instruments)), -1)
    for row, instrument in enumerate(market.instruments):
        factor = price_factor(market.instruments[market.settlement_row[row]])
        for leg in range(market.first_leg[row], market.first_leg[row + 1]):
            is_of_asset = factor is not None and market.leg_group[leg] == market.instrument_group[market.settlement_row[row]]
            if not instrument.is_asset and market.leg_group[leg] == market.instrument_group[row]:
                own[row] = leg
            if is_of_asset:
                of_price[row] = leg
    return own, of_price


def _chains(market: RevaluedMarket, curves: Sequence[str], column: Mapping[FactorId, int]) -> _Arrays:
    options: dict[tuple[object, ...], list[int]] = {}
    for row, each in enumerate(market.instruments):
        if isinstance(each.terms, EuropeanOption):
            options.setdefault((each.terms.underlying, each.terms.premium, each.terms.expiry), []).append(row)
    terms = [market.instruments[rows[0]].terms for rows in options.values()]
    chains = [each for each in terms if isinstance(each, EuropeanOption)]
    rows = [row for each in options.values() for row in each]
    members = [each for each in (market.instruments[row].terms for row in rows) if isinstance(each, EuropeanOption)]
    in_coins = [each.premium is PremiumStyle.COIN_SETTLED for each in chains]
    return {
        "chains": len(chains),
        "options": len(rows),
        "chain_first": _starts([len(each) for each in options.values()]),
        "chain_spot": np.array([column[FactorId("spot", each.underlying)] for each in chains]),
        "chain_carry": np.array([curves.index(f"basis:{each.underlying}") for each in chains]),
        "chain_vol": np.array([curves.index(f"vol:{each.underlying}") for each in chains]),
        "chain_zero": np.array([-1 if is_in else curves.index("zero:USD") for is_in in in_coins]),
        "chain_expiry": np.array([each.expiry.timestamp() for each in chains]),
        "option_row": np.array(rows),
        "strike": np.array([float(each.strike) for each in members]),
        "sign": np.array([1.0 if each.right is OptionRight.CALL else -1.0 for each in members]),
    }


def _perpetuals(market: RevaluedMarket, column: Mapping[FactorId, int]) -> _Arrays:
    found = [(row, each.terms) for row, each in enumerate(market.instruments) if isinstance(each.terms, Perpetual)]
    return {
        "perpetuals": len(found),
        "perpetual_row": np.array([row for row, _ in found]),
        "perpetual_spot": np.array([column[FactorId("spot", terms.underlying)] for _, terms in found]),
        "perpetual_inverse": np.array([int(terms.payoff is Payoff.INVERSE) for _, terms in found]),
    }


def _bonds(market: RevaluedMarket, snapshot: MarketSnapshot, curves: Sequence[str]) -> _Arrays:
    """Return the payments after the snapshot's day, by the zero curve that they are discounted on."""
    today = snapshot.as_of.date()
    by_curve: dict[str, list[tuple[int, NDArray[np.datetime64], NDArray[np.float64]]]] = {}
    for row, each in enumerate(market.instruments):
        if isinstance(each.terms, BondTerms):
            by_curve.setdefault(f"zero:{each.settlement}", []).append((row, *_payments(each, today)))
    bonds = [bond for of_curve in by_curve.values() for bond in of_curve]
    grids = [np.unique(np.concatenate([days for _, days, _ in of_curve]), return_inverse=True) for of_curve in by_curve.values()]
    midnight = datetime.combine(date(1970, 1, 1), time(), UTC)
    return {
        "bond_curves": len(by_curve),
        "bond_first": _starts([len(each) for each in by_curve.values()]),
        "bond_row": np.array([row for row, _, _ in bonds]),
        "flow_first": _starts([len(days) for _, days, _ in bonds]),
        "flow_day_at": np.concatenate([place for _, place in grids]),
        "flow_amount": np.concatenate([amounts for _, _, amounts in bonds]),
        "day_first": _starts([len(days) for days, _ in grids]),
        "day_curve": np.array([curves.index(name) for name in by_curve]),
        "day": np.concatenate([days for days, _ in grids]).astype("datetime64[s]").astype(np.float64) + midnight.timestamp(),
    }


def _payments(instrument: Instrument, today: date) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    terms = instrument.terms
    if isinstance(terms, Bill):
        return np.array([terms.maturity_date], dtype="datetime64[D]"), np.array([100.0])
    if not isinstance(terms, FixedRateBond):
        raise TypeError(f"{instrument.instrument_id} is no bill and no fixed-rate bond")
    days = coupon_days(terms, after=today)
    amounts = np.full(len(days), 100.0 * float(terms.coupon_rate) / terms.coupons_per_year)
    amounts[-1] += 100.0
    return days, amounts


def _accounts(portfolios: Sequence[Portfolio], market: RevaluedMarket, scenarios: ScenarioSet, parameters: RiskParameters) -> _Arrays:
    held = [each for portfolio in portfolios for each in portfolio.holdings]
    rates, schedule = charge_rates(parameters), haircut_rates(parameters)
    groups = [rates.groups[name] for name in market.groups]
    haircuts = [schedule.rows.get(each.collateral_class or "") for each in market.instruments]
    figures = ("equity", "gross", "market_requirement", "maintenance", "initial")
    return {
        "accounts": len(portfolios),
        "first": _starts([len(each.holdings) for each in portfolios]),
        "row": np.array([market.row_of[each.instrument_id] for each in held]),
        "quantity": np.array([float(each.quantity) for each in held]),
        "cost": np.array([float(each.cost) for each in held]),
        "leg_group": market.leg_group,
        "group_class": market.group_class,
        "instrument_group": market.instrument_group,
        "basis_kind": market.basis_kind.astype(np.int64),
        "is_option": market.is_option.astype(np.int64),
        "is_asset": np.array([int(each.is_asset or isinstance(each.terms, BondTerms)) for each in market.instruments]),
        "residual": np.array([-1.0 if row is None else row.residual_haircut_fraction for row in haircuts]),
        "weight": scenarios.weights,
        "spread": np.array([each.spread_fraction for each in groups]),
        "daily_volume": np.array([each.average_daily_volume for each in groups]),
        "mpor_days": np.array([each.mpor_days for each in groups]),
        "minimum_rate": np.array([each.minimum_rate_fraction for each in groups]),
        "alpha": float(parameters.tail_fraction),
        "within_class": float(parameters.offset_within_class),
        "across_classes": float(parameters.offset_across_classes),
        "initial_multiple": float(parameters.initial_margin_multiple),
        "spread_multiple": rates.spread_multiple,
        "base_days": rates.base_days,
        "participation": rates.participation_fraction,
        "perpetual_basis": rates.perpetual_basis_fraction,
        "dated_basis": rates.dated_basis_fraction,
        "short_option": rates.short_option_fraction,
        "band_lines": np.array([float(getattr(parameters.bands, name)) for name in _BANDS]),
        **{name: np.zeros(len(portfolios)) for name in figures},
        "band": np.zeros(len(portfolios), dtype=np.int64),
    }


def _starts(counts: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
