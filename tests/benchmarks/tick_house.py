"""A house that ticks: options, bonds and perpetuals of large coins, perpetuals of many small ones, and accounts that hold some of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from crossmargin.domain.account import Account, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.instrument import BondTerms, Instrument
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.packed_positions import packed
from crossmargin.domain.position import Position
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.usecases.ports.books import PackedState
from tests.benchmarks import ticks
from tests.builders import charges_document, coin, perpetual, risk_parameters

SMALL_COINS: Final = tuple(f"C{place:02}" for place in range(53))
"""With four large coins, a currency and the rates of two: 60 offset groups."""
CONTRACTS_OF_A_COIN: Final = 4
POSITIONS: Final = 200
OF_SMALL_COINS: Final = 100
_DOLLARS: Final = (100_000, 900_000)
"""Least and most of them: so that there is an account in every band."""
_TYPICAL_VALUE: Final = 20_000.0
_MAIN: Final = BookId("main")


def instruments() -> tuple[Instrument, ...]:
    """Return what `ticks` has, bonds as collateral, and the small coins with their perpetuals."""
    known = (replace(each, collateral_class="GOVERNMENT") if isinstance(each.terms, BondTerms) else each for each in ticks.instruments())
    contracts = (perpetual(f"{name}-PERP{place}", underlying=name) for name in SMALL_COINS for place in range(CONTRACTS_OF_A_COIN))
    return (*known, *(coin(name, collateral_class="ETH") for name in SMALL_COINS), *contracts)


def snapshot(tick: int) -> MarketSnapshot:
    """Return the market a tenth of a second times `tick` later, with marks of all options and bonds."""
    known, random = ticks.snapshot(tick), np.random.default_rng(1_000 + tick)
    small = {FactorId("spot", name): ticks.as_decimal(place + np.exp(0.001 * random.normal())) for place, name in enumerate(SMALL_COINS)}
    return MarketSnapshot(known.as_of, {**known.levels, **small}, known.marks)


def scenario_set() -> ScenarioSet:
    """Return 500 joint moves of all factors."""
    return ticks.scenario_set_of(snapshot(0))


def parameters() -> RiskParameters:
    """Return a set that knows all groups and charges for everything that the market can be charged for."""
    small = [ticks.group(name, f"SMALL-{place % 2}", f"spot:{name}") for place, name in enumerate(SMALL_COINS)]
    groups = [*ticks.groups(), *small]
    row = {"spread_fraction": "0.001", "average_daily_volume": "2e6", "minimum_rate_fraction": "0.05"}
    charges = charges_document(
        groups,
        rows={str(each["group_id"]): row for each in groups},
        basis={"perpetual_fraction": "0.01", "dated_fraction": "0.015"},
        short_option_fraction="0.01",
    )
    return risk_parameters(offset_groups=groups, charges=charges)


def states(count: int, market: RevaluedMarket) -> list[PackedState]:
    """Return accounts as a house run reads them."""
    large = [row for row, each in enumerate(market.instruments) if each.instrument_id[:3] not in SMALL_COINS and not each.is_asset]
    small = [row for row, each in enumerate(market.instruments) if each.instrument_id[:3] in SMALL_COINS]
    return [_state(number, large, small, market) for number in range(count)]


def _state(number: int, large: Sequence[int], small: Sequence[int], market: RevaluedMarket) -> PackedState:
    random = np.random.default_rng(number)
    rows = sorted([*random.choice(large, POSITIONS - OF_SMALL_COINS, False), *random.choice(small, OF_SMALL_COINS, False)])
    held = [_position(row, random, market) for row in rows]
    dollars = Position(_MAIN, InstrumentId("USD"), ticks.as_decimal(random.uniform(*_DOLLARS)))
    ref = AccountRef(ClientId(f"c{number:06}"), AccountId("core"))
    head = AccountHead(ref, AccountMode.CROSS, AccountStatus.OPEN, 1, b"")
    return PackedState(Account(ref, "An account", AccountMode.CROSS), head, packed([*held, dollars]))


def _position(row: int, random: np.random.Generator, market: RevaluedMarket) -> Position:
    instrument, value = market.instruments[row], _TYPICAL_VALUE * random.normal()
    units = value / max(float(market.notional_unit[row]), 1e-9)
    is_margined = "PERP" in instrument.instrument_id
    cost = units * float(market.unit_value[row] / market.settlement_price[row]) * random.uniform(0.99, 1.01) if is_margined else 0.0
    return Position(_MAIN, instrument.instrument_id, ticks.as_decimal(units, digits=6), ticks.as_decimal(cost))
