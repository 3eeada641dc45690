"""Random accounts of the size that policy AUTO has to be fast for: many assets, hedged or not, with tiers and limits that bind."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.charges import ineligible_holdings
from crossmargin.engine.collateral_split import HeldAssets, held_assets
from crossmargin.engine.portfolio_arrays import HaircutSchedule, MarginRates, PortfolioArrays, haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.builders import (
    Revalued,
    a_haircut_row,
    a_portfolio,
    a_revalued_market,
    charges_document,
    coin,
    perpetual,
    risk_parameters,
    risk_parameters_document,
)


@dataclass(frozen=True)
class Shape:
    """What a random account looks like.

    Attributes:
        hedged_fraction: Share of the assets with a perpetual against them. limited_fraction: Share with limits and tiers.
        debt_fraction: Share of the assets that are owed besides, through another asset of their group.
    """

    asset_count: int = 50
    scenario_count: int = 1_500
    group_count: int = 30
    class_count: int = 3
    hedged_fraction: float = 0.6
    limited_fraction: float = 0.4
    has_charges: bool = False


@dataclass(frozen=True)
class AutoBook:
    """One account, all of whose assets are AUTO, with everything the engine needs to split it."""

    arrays: PortfolioArrays
    market: RevaluedMarket
    held: HeldAssets
    rates: MarginRates
    schedule: HaircutSchedule

    @property
    def asked(self) -> tuple[PortfolioArrays, RevaluedMarket, HeldAssets, MarginRates]:
        """What `choices` takes."""
        return self.arrays, self.market, self.held, self.rates


def auto_book(seed: int, shape: Shape = Shape()) -> AutoBook:
    """Return the account of a seed: fat-tailed moves that share a common part, a class part and a group part; alpha 2.5%."""
    random = np.random.default_rng(seed)
    revalued, rows, group_class = [], [a_haircut_row("USD")], {}
    quantities: dict[str, Any] = {"USD": round(float(random.uniform(0, 4_000)), 2)}
    moves = _moves(random, shape)
    for place in range(shape.asset_count):
        name, group = f"A{place:02}", place % shape.group_count
        group_name = f"G{group:02}"
        group_class[group_name] = f"CLASS-{group % shape.class_count}"
        own = np.clip(100 * random.uniform(0.3, 1.5) * (moves[group] + 0.004 * random.standard_normal(shape.scenario_count)), -80, 200)
        basis = own * (1 + 0.02 * random.standard_normal(shape.scenario_count))
        revalued.append(Revalued(coin(name, collateral_class=name), 100.0, {group_name: own.tolist()}))
        revalued.append(Revalued(perpetual(f"P{place:02}"), 100.0, {group_name: basis.tolist()}))
        quantities[name] = round(float(random.lognormal(2, 1)), 3)
        if random.random() < shape.hedged_fraction:
            short = round(-float(quantities[name]) * float(random.uniform(-0.3, 1.3)), 3)
            quantities[f"P{place:02}"] = (Decimal(str(short)), 100 * Decimal(str(short)))
        rows.append(_haircut_row(name, random, shape))
    market = a_revalued_market(*revalued, groups=group_class, weights=_weights(shape))
    parameters = _parameters(rows, group_class, shape)
    rates, schedule = margin_rates(parameters, AccountMode.CROSS), haircut_rates(parameters)
    names = [name for name in quantities if name.startswith("A")]
    arrays = portfolio_arrays(a_portfolio(quantities, policies=dict.fromkeys(names, CollateralPolicy.AUTO)), market)
    held = held_assets(arrays, market, schedule, ineligible_holdings(arrays, market, rates.charges))
    return AutoBook(arrays, market, held, rates, schedule)


def _moves(random: np.random.Generator, shape: Shape) -> np.ndarray:
    count = shape.scenario_count
    common = 0.03 * random.standard_t(3, size=count)
    of_class = 0.02 * random.standard_t(3, size=(shape.class_count, count))
    own = 0.02 * random.standard_t(3, size=(shape.group_count, count))
    return common + of_class[np.arange(shape.group_count) % shape.class_count] + own


def _weights(shape: Shape) -> list[float]:
    """Five ordinary scenarios weigh 75% together, the sixth part are stress events of 25%."""
    stress = shape.scenario_count // 6
    ordinary = shape.scenario_count - stress
    return [0.75 / ordinary] * ordinary + [0.25 / stress] * stress


def _haircut_row(name: str, random: np.random.Generator, shape: Shape) -> dict[str, Any]:
    residual = random.uniform(0, 0.06)
    flat = residual + random.uniform(0.01, 0.3)
    if random.random() >= shape.limited_fraction:
        return a_haircut_row(name, residual=residual, flat=flat)
    tiers = [
        {"up_to": str(random.uniform(100, 2_000)), "haircut_fraction": str(flat)},
        {"up_to": str(random.uniform(2_001, 4_000)), "haircut_fraction": str(min(1.0, flat + 0.2))},
    ]
    return a_haircut_row(
        name,
        residual=residual,
        bands=[{"up_to_years": None, "tiers": tiers}],
        share_limit=random.uniform(0.02, 0.3) if random.random() < 0.5 else None,
        absolute_limit=random.uniform(100, 2_000) if random.random() < 0.3 else None,
    )


def _parameters(rows: list[dict[str, Any]], group_class: dict[str, str], shape: Shape) -> RiskParameters:
    groups = [
        {"group_id": name, "asset_class": asset_class, "mpor_days": 2, "mpor_clock": "calendar", "curves": [f"spot:{name}"]}
        for name, asset_class in group_class.items()
    ]
    known = risk_parameters_document()["offset_groups"] + groups
    charged = {name: {"spread_fraction": "0.01", "average_daily_volume": "20000", "minimum_rate_fraction": "0.02"} for name in group_class}
    return risk_parameters(
        offset_groups=known, haircut_schedule=rows, charges=charges_document(known, rows=charged if shape.has_charges else None)
    )
