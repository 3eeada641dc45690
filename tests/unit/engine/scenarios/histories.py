"""Histories to build scenarios from, spelled out day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from crossmargin.domain.market import FactorHistory, FactorId
from crossmargin.domain.risk_parameters import RiskParameters
from tests.builders import risk_parameters
from tests.unit.engine.revaluation.markets import a_group

MONDAY = date(2024, 1, 1)
Level = float | int | str | None


def factor(name: str) -> FactorId:
    return FactorId.parse(name)


def a_history(columns: Mapping[str, Sequence[Level]], *, first: date = MONDAY) -> FactorHistory:
    """Levels on consecutive calendar days; None on days without one."""
    length = max(map(len, columns.values()))
    dates = tuple(first + timedelta(days=day) for day in range(length))
    return FactorHistory(
        dates, {factor(name): tuple(None if level is None else Decimal(str(level)) for level in column) for name, column in columns.items()}
    )


def a_walk(days: int, seed: int, *, step: float = 0.02, weekdays_only: bool = False, first: date = MONDAY) -> list[Level]:
    """A random path of prices, without levels on weekends if asked."""
    path = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(scale=step, size=days)))
    closed = [weekdays_only and (first + timedelta(days=day)).weekday() >= 5 for day in range(days)]
    return [None if shut else f"{level:.10f}" for shut, level in zip(closed, path, strict=True)]


GROUPS = [
    a_group("BTC", "CRYPTO", ["spot:BTC", "vol:BTC", "basis:BTC"], days=1),
    a_group("ETH", "CRYPTO", ["spot:ETH", "vol:ETH"], days=2),
    a_group("XRP", "CRYPTO", ["spot:XRP", "vol:XRP"], days=1),
    a_group("EUR", "FX", ["fx:EUR"], days=2, clock="business"),
    a_group("USD-RATES", "FIXED_INCOME", ["zero:USD"], days=1),
    a_group("CHF-RATES", "FIXED_INCOME", ["zero:CHF"], days=1),
]
UNSCALED = {"scaling_floor": "1", "scaling_cap": "1"}


def parameters(**overrides: object) -> RiskParameters:
    """Unscaled one-day moves of a few days of history and no stress, unless a test says otherwise."""
    plain = {
        "offset_groups": GROUPS,
        "observation_count": 1000,
        "minimum_observation_count": 1,
        "ordinary_weight": "1",
        "stress_events": [],
    }
    return risk_parameters(**(plain | UNSCALED | overrides))


def an_event(
    name: str = "Crash",
    *,
    moves: Mapping[str, str] | None = None,
    classes: Mapping[str, str] | None = None,
    both_directions: bool = False,
) -> dict[str, object]:
    return {
        "name": name,
        "source": "house",
        "both_directions": both_directions,
        "moves": dict(moves or {}),
        "default_class_moves": dict(classes or {}),
    }
