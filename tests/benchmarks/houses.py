"""A market of many instruments and houses of many accounts, made from a seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import numpy as np

from crossmargin.domain.account import Account, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.packed_positions import packed
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.usecases.ports.books import PackedState
from tests.builders import (
    Revalued,
    a_portfolio,
    a_revalued_market,
    a_scenario_set,
    charges_document,
    perpetual,
    risk_parameters,
    risk_parameters_document,
)

A_SNAPSHOT: Final = MarketSnapshot(datetime(2026, 3, 2, 12, tzinfo=UTC), {}, {})
"""Of a market that is made and not revalued: nothing of it is doubted."""
GROUPS: Final = 60
CLASSES: Final = 4


def a_market(instrument_count: int, scenario_count: int) -> RevaluedMarket:
    """Return perpetuals in 60 groups of 4 classes; those of a group move together."""
    random = np.random.default_rng(1)
    names = [f"P{place:05}" for place in range(instrument_count)]
    group_of = random.integers(0, GROUPS, instrument_count)
    instruments = [Revalued(perpetual(name), 100.0, {f"G{group:02}": [0.0]}) for name, group in zip(names, group_of, strict=True)]
    market = a_revalued_market(*instruments, groups={f"G{group:02}": f"CLASS-{group % CLASSES}" for group in range(GROUPS)})
    shared = 0.03 * random.standard_t(4, (GROUPS, scenario_count))
    own = 0.005 * random.standard_normal((instrument_count, scenario_count))
    return replace(
        market,
        scenarios=a_scenario_set(scenario_count, stress_count=scenario_count // 5),
        leg_pnl=100.0 * (shared[market.leg_group] + own),
    )


def parameters_of_the_house(*, average_daily_volume: str = "1e8") -> RiskParameters:
    """Return a small set that knows the groups of the market; `average_daily_volume` is in dollars."""
    groups = [
        {"group_id": f"G{group:02}", "asset_class": f"CLASS-{group % CLASSES}", "mpor_days": 2, "mpor_clock": "calendar"}
        | {"curves": [f"spot:G{group:02}"]}
        for group in range(GROUPS)
    ]
    known = risk_parameters_document()["offset_groups"] + groups
    rows = {f"G{group:02}": {"spread_fraction": "0.001", "average_daily_volume": average_daily_volume} for group in range(GROUPS)}
    return risk_parameters(offset_groups=known, charges=charges_document(known, rows=rows))


def a_packed_house(account_count: int, position_count: int, market: RevaluedMarket) -> dict[AccountRef, PackedState]:
    """Return such accounts as a monitor reads them, each of an owner of its own."""
    return {state.account.ref: state for state in (_packed(seed, position_count, market) for seed in range(account_count))}


def _packed(seed: int, position_count: int, market: RevaluedMarket) -> PackedState:
    ref = AccountRef(ClientId(f"c{seed:06}"), AccountId("core"))
    held = an_account(seed, position_count, market).holdings
    positions = packed(Position(BookId("main"), each.instrument_id, each.quantity, each.cost) for each in held)
    head = AccountHead(ref, AccountMode.CROSS, AccountStatus.OPEN, 1, b"\0" * 32)
    return PackedState(Account(ref, "An account", AccountMode.CROSS), head, positions)


def an_account(seed: int, position_count: int, market: RevaluedMarket) -> Portfolio:
    """Return an account of perpetuals, long and short, and the dollars behind them."""
    random = np.random.default_rng(seed)
    rows = random.choice(len(market.instruments) - 1, min(position_count, len(market.instruments) - 1), replace=False)
    names = [each.instrument_id for each in market.instruments if each.instrument_id != "USD"]
    held = {names[row]: (f"{units:.3f}", f"{100 * units:.1f}") for row, units in zip(rows, random.normal(0, 10, len(rows)), strict=True)}
    return a_portfolio(held | {"USD": 1_000_000}, mode=AccountMode.CROSS)
