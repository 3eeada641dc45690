"""Every parameter of the set moves a result at both ends of its range; one that moves nothing has no place in it.

Whole runs: a history becomes scenarios, the market is revalued under them, an account is margined. What has many parameters of its own,
the charges and the haircut schedule, has a test of its own too, named in ELSEWHERE.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import DomainError
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.explanation import explain_margin
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import required_factors, revalue_market
from crossmargin.engine.scenarios import build_scenario_set
from tests.builders import a_haircut_row, a_portfolio, cash, coin, risk_parameters
from tests.parameter_leaves import leaves
from tests.unit.engine.revaluation.markets import a_group, a_perpetual, an_option
from tests.unit.engine.scenarios.histories import a_history, a_walk, an_event

DAYS = 420
FIRST = date(2024, 12, 2)
AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
LEVELS = {
    "spot:BTC": "60000",
    "spot:ETH": "3000",
    "spot:XRP": "2",
    "fx:EUR": "1.1",
    "vol:BTC:1M": "0.6",
    "zero:USD:1Y": "0.04",
    "spot:LATE": "5",
}
INSTRUMENTS = (
    *(cash("USD"), cash("EUR", collateral_class="G10-CASH")),
    *(coin("BTC"), coin("ETH", collateral_class="ETH"), coin("XRP", collateral_class="XRP"), coin("LATE", collateral_class="XRP")),
    a_perpetual(),
    an_option("CALL", strike=60_000, expiry=datetime(2026, 4, 15, tzinfo=UTC)),
)
BOOK = {"USD": 500_000, "EUR": 200_000, "BTC": 4, "ETH": -40, "PERP": (-2, -120_000), "CALL": -3}
GROUPS = [
    a_group("BTC", "CRYPTO", ["spot:BTC", "vol:BTC"], days=2),
    a_group("ETH", "CRYPTO", ["spot:ETH"], days=2),
    a_group("XRP", "CRYPTO", ["spot:XRP"], days=2),
    a_group("EUR", "FX", ["fx:EUR"], days=2, clock="business"),
    a_group("LATE", "CRYPTO", ["spot:LATE"], days=2),
    a_group("USD-RATES", "FIXED_INCOME", ["zero:USD"], days=2, clock="business"),
]
CRASH = an_event("Crash", moves={"spot:BTC": "-0.3", "spot:ETH": "-0.1", "spot:LATE": "-0.5"}, both_directions=True)
PROXY = {"curve": "spot:XRP", "proxy_curve": "spot:BTC", "beta": "1.4", "idiosyncratic_fraction": "0.5"}
WINDOW = {"name": "Window", "source": "house", "first_day": "2025-03-01", "last_day": "2025-03-20", "event": "Crash"}
BASE: Mapping[str, Any] = {
    "offset_groups": GROUPS,
    "stress_events": [CRASH],
    "crisis_windows": [WINDOW],
    "proxies": [PROXY],
    "haircut_schedule": [
        a_haircut_row("USD"),
        a_haircut_row("G10-CASH", has_fx_mismatch=True),
        a_haircut_row("BTC"),
        a_haircut_row("ETH"),
        a_haircut_row("XRP"),
    ],
    "observation_count": 250,
    "minimum_observation_count": 200,
    "volatility_decay": "0.9",
}


class Ends(NamedTuple):
    """Changes of the parameters that each give another result, for a book."""

    changes: list[dict[str, Any]]
    book: Mapping[str, Any] = BOOK


def _plain(name, *values, **more):
    return Ends([{name: value} | more for value in values])


def _group(**changes):
    return {"offset_groups": [GROUPS[0] | changes, *GROUPS[1:]]}


def _proxied(*changes):
    return Ends([{"proxies": [PROXY | change]} for change in changes], {"USD": 100_000, "XRP": 50_000, "BTC": -1})


def _event(*changes):
    return Ends([{"stress_events": [CRASH | change]} for change in changes])


def _window(*changes):
    return Ends([{"crisis_windows": [WINDOW | change], "ordinary_weight": "0.01"} for change in changes])


def _bands(name):
    """The line just below and just above the account's utilization, the better lines far below it and the worse ones far above."""
    names = ["watch", "at_risk", "margin_call", "liquidation"]
    place = names.index(name)
    below = {each: str(0.001 * (1 + order)) for order, each in enumerate(names[:place])}
    above = {each: str(50 + order) for order, each in enumerate(names[place + 1 :])}
    return Ends([{"bands": below | {name: line} | above} for line in ("0.005", "49")])


ENDS = {
    "tail_fraction": _plain("tail_fraction", "0.001", "0.025", "0.5"),
    "ordinary_weight": _plain("ordinary_weight", "0.01", "0.75", "1"),
    "observation_count": Ends([{"observation_count": count} for count in (201, 250, 390)], {"USD": 100_000, "BTC": 4}),
    "minimum_observation_count": _plain("minimum_observation_count", 1, 1000, observation_count=1000),
    "volatility_decay": _plain("volatility_decay", "0.5", "0.99", "0.999"),
    "scaling_floor": _plain("scaling_floor", "0.01", "1"),
    "scaling_cap": _plain("scaling_cap", "1", "5"),
    "maximum_carry_days": _plain("maximum_carry_days", 0, 7),
    "offset_within_class": _plain("offset_within_class", "0", "0.8", "1", offset_across_classes="0"),
    "offset_across_classes": _plain("offset_across_classes", "0", "0.5", "0.8"),
    "initial_margin_multiple": _plain("initial_margin_multiple", "1", "1.25", "3"),
    "bands.watch": _bands("watch"),
    "bands.at_risk": _bands("at_risk"),
    "bands.margin_call": _bands("margin_call"),
    "bands.liquidation": _bands("liquidation"),
    "stress_vol_response": _plain("stress_vol_response", "0", "2", "10", ordinary_weight="0.01", crisis_windows=[]),
    "offset_groups.asset_class": Ends([_group(asset_class=name) for name in ("CRYPTO", "FX")]),
    "offset_groups.mpor_days": Ends([_group(mpor_days=days) for days in (1, 5, 30)]),
    "offset_groups.mpor_clock": Ends([_group(mpor_clock=clock) for clock in ("calendar", "business")]),
    "offset_groups.curves": Ends([{}, {"offset_groups": [GROUPS[0] | {"curves": ["spot:BTC"]}, *GROUPS[1:]]}]),
    "proxies.curve": _proxied({}, {"curve": "spot:SOL"}),
    "proxies.proxy_curve": _proxied({}, {"proxy_curve": "spot:ETH"}),
    "proxies.beta": _proxied({"beta": "0"}, {"beta": "1"}, {"beta": "5"}),
    "proxies.idiosyncratic_fraction": _proxied(*({"idiosyncratic_fraction": size} for size in ("0", "0.5", "10"))),
    "stress_events.both_directions": _event({"both_directions": False}, {"both_directions": True}),
    "stress_events.moves": _event(*({"moves": {"spot:BTC": move}} for move in ("-0.99", "-0.3", "5"))),
    "stress_events.default_class_moves": _event(
        *({"default_class_moves": {"CRYPTO": move}, "moves": {}} for move in ("-0.99", "-0.3", "5"))
    ),
    "crisis_windows.first_day": _window({"first_day": "2025-02-01"}, {"first_day": "2025-03-19"}),
    "crisis_windows.last_day": _window({"last_day": "2025-03-02"}, {"last_day": "2025-06-01"}),
    "crisis_windows.days": _window({"days": []}, {"days": ["2025-03-01"]}, {"days": ["2025-03-19", "2025-03-20"]}),
    "crisis_windows.event": Ends([{"crisis_windows": [WINDOW | {"event": event}]} for event in ("Crash", None)], {"USD": 1000, "LATE": 10}),
}
MAY_REFUSE = {"minimum_observation_count", "maximum_carry_days", "offset_groups.curves", "proxies.curve", "crisis_windows.event"}
"""One end of these leaves an account without a margin: too short a history, or a factor that nothing moves."""
NAMES = {
    *("set_id", "document", "offset_groups.group_id", "stress_events.name", "stress_events.source"),
    *("crisis_windows.name", "crisis_windows.source"),
}
"""Names and sources, which mean nothing by themselves."""
ELSEWHERE = {
    "charges.": "test_charge_parameters_matter.py",
    "haircut_schedule.": "test_collateral_parameters_matter.py",
    "default_policy": "test_collateral_parameters_matter.py",
    "circulating_supply": "test_collateral_parameters_matter.py",
    "fx_mismatch_": "test_collateral_parameters_matter.py",
    "stress_events.last_day": "test_backtest.py",
    "methodologies.": "methodologies/test_methodology_parameters_matter.py",
    "market_quality.": "../domain/test_market_quality_parameters.py",
    "monitor.": "../domain/test_band_memory.py",
    "liquidation.": "test_liquidation_parameters_matter.py",
}
"""By the beginning of the name: the file beside this one that tries them."""


def test_every_parameter_has_its_case():
    here = {name for name in leaves(RiskParameters) if not name.startswith(tuple(ELSEWHERE))}
    assert here == set(ENDS) | NAMES | {"isolation_benefit_fraction"}


@pytest.mark.parametrize("name", sorted(ENDS))
def test_a_parameter_moves_a_result_at_both_ends(name):
    results = [_result(change, ENDS[name]) for change in ENDS[name].changes]
    assert len(set(results)) == len(results), results


def test_only_what_may_refuse_refuses():
    """An error differs from every margin, so a case that fails by mistake would prove nothing."""
    refusing = {name for name, case in ENDS.items() if any(isinstance(_result(change, case), str) for change in case.changes)}
    assert refusing == MAY_REFUSE


def test_the_benefit_that_isolation_costs_decides_on_the_advice():
    advice = [
        explain_margin(
            *_given(risk_parameters(**(dict(BASE) | {"isolation_benefit_fraction": fraction})), BOOK), random=np.random.default_rng(1)
        ).isolation_advice
        for fraction in ("0", "1")
    ]
    assert not advice[0]
    assert advice[1]


@cache
def _result_of(change, book):
    try:
        parameters = risk_parameters(**(dict(BASE) | json.loads(change)))
        held = {name: tuple(pair) if isinstance(pair, list) else pair for name, pair in json.loads(book).items()}
        portfolio, _, market, _ = _given(parameters, held)
        margin = compute_margin(portfolio, market, parameters)
    except DomainError as error:
        return error.message
    figures = margin.requirement.market_requirement, margin.requirement.initial_margin, margin.equity.equity, margin.band
    return (*figures, *(line.asset_class for line in margin.groups))


def _result(change, case):
    """Everything a parameter may move: margin, equity, band and asset classes, or why there is none."""
    return _result_of(json.dumps(change), json.dumps(case.book))


def _given(parameters, book):
    snapshot = MarketSnapshot(AS_OF, {FactorId.parse(name): Decimal(level) for name, level in LEVELS.items()}, {})
    held = [instrument for instrument in INSTRUMENTS if instrument.instrument_id in book or instrument.is_asset]
    factors = required_factors([instrument for instrument in held if instrument.instrument_id in book], snapshot)
    market = revalue_market(held, snapshot, build_scenario_set(HISTORY, factors, parameters), parameters)
    return a_portfolio(book, policies=dict.fromkeys(book, CollateralPolicy.RISKED)), snapshot, market, parameters


def _history():
    closed = a_walk(DAYS, 3, step=0.004, weekdays_only=True, first=FIRST)
    walks = {"spot:BTC": a_walk(DAYS, 1), "spot:ETH": a_walk(DAYS, 2), "fx:EUR": closed, "vol:BTC:1M": a_walk(DAYS, 4)}
    rates = {"zero:USD:1Y": [f"{0.04 + 0.0001 * (day % 7):.4f}" for day in range(DAYS)]}
    late = {"spot:LATE": [None if day < 140 else level for day, level in enumerate(a_walk(DAYS, 5))]}
    return a_history(walks | rates | late, first=FIRST)


HISTORY = _history()
