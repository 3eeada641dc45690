"""Readable builders of what tests are about; everything they leave unsaid has a small, valid default."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import DomainError
from crossmargin.domain.house import NO_HOUSE, HouseView
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId, OffsetGroupId, SnapshotId
from crossmargin.domain.instrument import Bill, Cash, CryptoAsset, FxForward, Instrument, Payoff, Perpetual, Stablecoin, Terms
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.risk_parameters_document import risk_parameters_from_json
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.valuation import BasisKind
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

AS_OF = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ACCOUNT = AccountRef(ClientId("alpha-fund"), AccountId("main"))
SNAPSHOT = SnapshotId("0" * 32)
Number = Decimal | int | float | str


# Risk parameters


def a_haircut_row(
    collateral_class: str,
    *,
    residual: Number = 0,
    flat: Number = 0,
    bands: Sequence[Mapping[str, Any]] | None = None,
    share_limit: Number | None = None,
    absolute_limit: Number | None = None,
    has_fx_mismatch: bool = False,
    **limits: Number | None,
) -> dict[str, Any]:
    """A row of the haircut schedule as the document spells it; one flat haircut for any size and maturity unless `bands` says more.

    `limits` are further limits by their names, such as `volume_limit_fraction`.
    """
    one_band = [{"up_to_years": None, "tiers": [{"up_to": None, "haircut_fraction": str(flat)}]}]
    return {
        "collateral_class": collateral_class,
        "residual_haircut_fraction": str(residual),
        "bands": list(bands) if bands is not None else one_band,
        "share_limit_fraction": None if share_limit is None else str(share_limit),
        "absolute_limit": None if absolute_limit is None else str(absolute_limit),
        "has_fx_mismatch": has_fx_mismatch,
    } | {name: None if limit is None else str(limit) for name, limit in limits.items()}


def risk_parameters_document(**overrides: Any) -> dict[str, Any]:
    """A small complete parameter document; `overrides` replace whole keys."""
    document = {
        "set_id": "test-1",
        "tail_fraction": "0.025",
        "ordinary_weight": "0.75",
        "observation_count": 1250,
        "minimum_observation_count": 250,
        "volatility_decay": "0.99",
        "scaling_floor": "0.8",
        "scaling_cap": "2.5",
        "maximum_carry_days": 7,
        "offset_within_class": "0.8",
        "offset_across_classes": "0.5",
        "initial_margin_multiple": "1.25",
        "bands": {"watch": "0.6", "at_risk": "0.7", "margin_call": "0.8", "liquidation": "1"},
        "stress_vol_response": "1.5",
        "fx_mismatch_haircut_fraction": "0.08",
        "fx_mismatch_days": 10,
        "offset_groups": [
            _group("BTC", "CRYPTO", 2, "calendar", ["spot:BTC", "vol:BTC", "basis:BTC"]),
            _group("ETH", "CRYPTO", 2, "calendar", ["spot:ETH", "vol:ETH"]),
            _group("EURUSD", "FX", 2, "business", ["fx:EUR", "vol:EUR"]),
            _group("USD-RATES", "FIXED_INCOME", 5, "business", ["zero:USD"]),
            # Groups of revalued markets that tests spell out by hand; no risk factor leads to them.
            *(_group(name, "CRYPTO", 2, "calendar", []) for name in ("RLUSD", "USDC", "USDT", "XRP")),
            _group("UST", "FIXED_INCOME", 2, "business", []),
        ],
        "proxies": [],
        "stress_events": [
            {
                "name": "Crypto falls by 40%",
                "source": "house",
                "both_directions": True,
                "moves": {"spot:BTC": "-0.4", "spot:ETH": "-0.4"},
                "default_class_moves": {},
            }
        ],
        "crisis_windows": [],
        "isolation_benefit_fraction": "0.1",
        "haircut_schedule": [
            a_haircut_row("USD"),
            a_haircut_row("G10-CASH", has_fx_mismatch=True),
            a_haircut_row("GOVERNMENT", residual="0.0025", flat="0.02"),
            a_haircut_row("BTC", residual="0.02", flat="0.2"),
            a_haircut_row("ETH", residual="0.03", flat="0.25"),
        ],
    }
    document |= overrides
    document = {"market_quality": market_quality_document()} | document
    groups = document["offset_groups"]
    return {"charges": charges_document(groups), "methodologies": methodologies_document(groups)} | document


def market_quality_document(
    *, limits: Mapping[str, Any] | None = None, breakers: Mapping[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Quality of quotes as the document spells it, the same for every kind; `limits` change those of all kinds."""
    same = {
        "stale_after_s": "60",
        "missing_after_s": "3600",
        "jump_limit": "0.1",
        "implausible_limit": "1",
        "disagreement_limit": "0.02",
        "drift": "0.02",
        "widest_drift": "0.5",
    }
    kinds = ("spot", "fx", "zero", "vol", "basis", "spread", "price", "mark", "premium", "present_value")
    return {
        "minimum_sources": 1,
        "confirming_sources": 2,
        "confirming_ticks": 3,
        "weekly_close": {"friday_hour": 21, "sunday_hour": 22},
        "rules": [{"kind": kind, "clock": clock} | same | dict(limits or {}) for kind in kinds for clock in ("calendar", "business")],
        "breakers": {
            "calls_per_minute": 20,
            "liquidations_per_minute": 10,
            "concentration_fraction": "0.8",
            "concentration_accounts": 5,
        }
        | dict(breakers or {}),
    } | changes


def charges_document(
    offset_groups: Sequence[Any] = (), *, rows: Mapping[str, Mapping[str, Any]] | None = None, **changes: Any
) -> dict[str, Any]:
    """Charges as the document spells them, all of them nothing, with some keys changed inside their parts; `rows` change those of groups.

    `charges_document(groups, basis={"perpetual_fraction": "0.01"}, short_option_fraction="0.01", rows={"BTC": {...}})`
    """
    free = {"spread_fraction": "0", "average_daily_volume": "1e18", "minimum_rate_fraction": "0"}
    named = [group["group_id"] for group in offset_groups if isinstance(group, dict)]
    document: dict[str, Any] = {
        "liquidity": {"spread_multiple": "2", "base_days": "0.3", "participation_fraction": "0.2"},
        "basis": {
            "perpetual_fraction": "0",
            "dated_fraction": "0",
            "stablecoin_tiers": [{"up_to": None, "charge_fraction": "0"}],
        },
        "short_option_fraction": "0",
        "depeg": {"mild_price": "0.99", "haircut_slope": "0", "ineligible_price": "0"},
        "schedule_floor": {"floor_fraction": "0", "gross_fraction": "0.4", "in_scope": [], "rates": {}},
        "groups": [{"group_id": name} | free | dict((rows or {}).get(name, {})) for name in named],
        "issuers": [],
    }
    return {
        key: part | changes[key] if isinstance(part, dict) and key in changes else changes.get(key, part) for key, part in document.items()
    }


def methodologies_document(
    offset_groups: Sequence[Any] = (),
    *,
    span: Mapping[str, Any] | None = None,
    tims: Mapping[str, Any] | None = None,
    ratio: Mapping[str, Any] | None = None,
    groups: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Parameters of the methodologies as the document spells them, the same row for every asset class, with some of its values changed.

    `groups` adds rows of single groups: `methodologies_document(groups, span={"price_fraction": "0.2"}, groups={"span": {"BTC": {...}}})`
    """
    classes = dict.fromkeys(group.get("asset_class", "") for group in offset_groups if isinstance(group, dict))
    span_row = {"price_fraction": "0.1", "volatility_fraction": "0.25", "rate_move": "0.01", "price_move": "5"} | dict(span or {})
    tims_row = {"lowest_fraction": "-0.15", "highest_fraction": "0.15", "rate_move": "0.01", "price_move": "5"} | dict(tims or {})
    ratio_row = {"up_to_years": None, "initial_fraction": "0.1", "maintenance_fraction": "0.05"} | dict(ratio or {})
    grid = {name: span_row.pop(name, value) for name, value in {"extreme_multiple": "2", "cover_fraction": "0.35"}.items()}
    minimum = tims_row.pop("contract_minimum", "0.375")
    own: dict[str, Any] = {"span": {}, "tims": {}, "ratio": {}} | dict(groups or {})
    return {
        "span_grid": grid | {"scan_ranges": {"classes": dict.fromkeys(classes, span_row), "groups": own["span"]}},
        "tims_grid": {
            "contract_minimum": minimum,
            "valuation_ranges": {"classes": dict.fromkeys(classes, tims_row), "groups": own["tims"]},
        },
        "ratio": {"rates": {"classes": {name: {"bands": [ratio_row]} for name in classes}, "groups": own["ratio"]}},
    }


def risk_parameters(**overrides: Any) -> RiskParameters:
    """A small complete parameter set, with some keys of its document replaced."""
    return risk_parameters_from_json(json.dumps(risk_parameters_document(**overrides), default=str))


def _group(group_id: str, asset_class: str, mpor_days: int, mpor_clock: str, curves: list[str]) -> dict[str, Any]:
    return {"group_id": group_id, "asset_class": asset_class, "mpor_days": mpor_days, "mpor_clock": mpor_clock, "curves": curves}


# Instruments


def an_instrument(name: str, terms: Terms, *, collateral_class: str | None = None, places: int = 8) -> Instrument:
    return Instrument(InstrumentId(name), terms, places, collateral_class)


def cash(currency: str = "USD", *, collateral_class: str | None = "USD") -> Instrument:
    return an_instrument(currency, Cash(currency), collateral_class=collateral_class, places=2)


def coin(name: str = "BTC", *, collateral_class: str | None = "BTC") -> Instrument:
    return an_instrument(name, CryptoAsset(), collateral_class=collateral_class)


def stablecoin(name: str = "USDC", *, collateral_class: str | None = None) -> Instrument:
    return an_instrument(name, Stablecoin("USD", "CIRCLE"), collateral_class=collateral_class)


def perpetual(name: str = "BTC-PERP", *, underlying: str = "BTC", settlement: str = "USD", payoff: Payoff = Payoff.LINEAR) -> Instrument:
    return an_instrument(name, Perpetual(InstrumentId(underlying), InstrumentId(settlement), Decimal(1), payoff))


def fx_forward(name: str = "EURUSD-FWD", *, bought: str = "EUR", sold: str = "USD") -> Instrument:
    return an_instrument(name, FxForward(InstrumentId(bought), InstrumentId(sold), Decimal("1.1"), date(2026, 9, 1)))


def bill(name: str = "UST-BILL", *, settlement: str = "USD", collateral_class: str | None = "GOVERNMENT") -> Instrument:
    return an_instrument(name, Bill(InstrumentId(settlement), date(2026, 9, 1)), collateral_class=collateral_class, places=2)


# Revalued markets


@dataclass(frozen=True)
class Revalued:
    """One instrument of a revalued market: what a unit is worth, and gains in each scenario by offset group, in base currency.

    Unless it is said by group, the exposure of a unit is its value, to its first group alone; `issuer_pnl` is what it gains in the joint
    shock of each issuer group.
    """

    instrument: Instrument
    value: float
    pnl: Mapping[str, Sequence[float]] = field(default_factory=dict)
    residual_years: float = 0.0
    translation_days: float = 0.0
    exposure: Mapping[str, float] | None = None
    notional: float | None = None
    basis: BasisKind = BasisKind.FACTORED
    is_option: bool = False
    issuer_pnl: Sequence[Mapping[str, float]] = ()
    used_fraction: float = 1.0
    has_run_out: bool = False


def a_revalued_market(
    *revalued: Revalued,
    groups: Mapping[str, str] | None = None,
    weights: Sequence[float] | None = None,
    stress_count: int = 0,
    unavailable: Mapping[str, DomainError] | None = None,
) -> RevaluedMarket:
    """A market of these instruments, and US dollars if they are not among them.

    `groups` gives the asset class of offset groups (each is its own class if nothing is said); `weights` are equal unless given; the
    last `stress_count` scenarios are stress events.
    """
    named = {item.instrument.instrument_id: item for item in (Revalued(cash(), 1.0), *revalued)}
    items = [named[name] for name in sorted(named)]
    row = {item.instrument.instrument_id: place for place, item in enumerate(items)}
    legs = [(place, group, pnl) for place, item in enumerate(items) for group, pnl in item.pnl.items()]
    group_ids = sorted({group for _, group, _ in legs} | set(groups or {}))
    class_of = {group: (groups or {}).get(group, group) for group in group_ids}
    classes = sorted(set(class_of.values()))
    scenario_count = len(legs[0][2]) if legs else len(weights or [1.0])
    settlement_row = np.array([row[item.instrument.settlement] for item in items])
    return RevaluedMarket(
        snapshot_id=SNAPSHOT,
        as_of=AS_OF,
        scenarios=a_scenario_set(scenario_count, weights=weights, stress_count=stress_count),
        instruments=tuple(item.instrument for item in items),
        unit_value=np.array([float(item.value) for item in items]),
        settlement_price=np.array([float(items[settles].value) for settles in settlement_row]),
        settlement_row=settlement_row,
        leg_instrument=np.array([place for place, _, _ in legs], dtype=np.int64),
        leg_group=np.array([group_ids.index(group) for _, group, _ in legs], dtype=np.int64),
        leg_pnl=np.array([pnl for _, _, pnl in legs], dtype=np.float64).reshape(len(legs), scenario_count),
        groups=tuple(OffsetGroupId(group) for group in group_ids),
        classes=tuple(classes),
        group_class=np.array([classes.index(class_of[group]) for group in group_ids], dtype=np.int64),
        residual_years=np.array([item.residual_years for item in items]),
        translation_days=np.array([item.translation_days for item in items]),
        leg_exposure=np.array([_exposures(items[place]).get(group, 0.0) for place, group, _ in legs], dtype=np.float64),
        issuer_leg_pnl=_issuer_pnl(items, legs),
        instrument_group=np.array([group_ids.index(next(iter(item.pnl))) if item.pnl else -1 for item in items], dtype=np.int64),
        notional_unit=np.array([abs(float(item.value)) if item.notional is None else item.notional for item in items]),
        basis_kind=np.array([item.basis for item in items], dtype=np.int64),
        is_option=np.array([item.is_option for item in items], dtype=np.bool_),
        peg_price=np.array(
            [float(item.value) * item.used_fraction if isinstance(item.instrument.terms, Stablecoin) else np.nan for item in items]
        ),
        used_fraction=np.array([item.used_fraction for item in items], dtype=np.float64),
        has_run_out=np.array([item.has_run_out for item in items], dtype=np.bool_),
        unavailable={InstrumentId(name): error for name, error in (unavailable or {}).items()},
    )


def _exposures(item: Revalued) -> Mapping[str, float]:
    return {next(iter(item.pnl), ""): abs(float(item.value))} if item.exposure is None else item.exposure


def _issuer_pnl(items: Sequence[Revalued], legs: Sequence[tuple[int, str, Sequence[float]]]) -> np.ndarray:
    count = max((len(item.issuer_pnl) for item in items), default=0)
    shocks = [
        [items[place].issuer_pnl[issuer].get(group, 0.0) if items[place].issuer_pnl else 0.0 for place, group, _ in legs]
        for issuer in range(count)
    ]
    return np.array(shocks, dtype=np.float64).reshape(count, len(legs))


def a_scenario_set(count: int, *, weights: Sequence[float] | None = None, stress_count: int = 0) -> ScenarioSet:
    """Scenarios that shock no factor: what a revalued market needs to know of them is their weights and names."""
    ordinary = count - stress_count
    return ScenarioSet(
        factors=(),
        shocks=np.zeros((count, 0)),
        weights=np.full(count, 1.0 / count) if weights is None else np.array(weights, dtype=np.float64),
        names=tuple(f"move {place}" for place in range(ordinary)) + tuple(f"event {place}" for place in range(stress_count)),
        ordinary_count=ordinary,
        proxied={},
        unavailable={},
    )


# Portfolios


def a_portfolio(
    holdings: Mapping[str, Number | tuple[Number, Number]] | None = None,
    *,
    policies: Mapping[str, CollateralPolicy] | None = None,
    mode: AccountMode = AccountMode.CROSS,
    account: AccountRef = ACCOUNT,
    sequence: int = 1,
    house: HouseView = NO_HOUSE,
) -> Portfolio:
    """A portfolio of quantities, or of (quantity, cost): `a_portfolio({"USD": 1_000, "BTC-PERP": (-2, "-120000")})`."""
    pairs = {name: held if isinstance(held, tuple) else (held, 0) for name, held in (holdings or {}).items()}
    return Portfolio(
        account=account,
        mode=mode,
        sequence=sequence,
        holdings=tuple(
            Holding(InstrumentId(name), Decimal(str(quantity)), Decimal(str(cost))) for name, (quantity, cost) in sorted(pairs.items())
        ),
        policies={InstrumentId(name): policy for name, policy in (policies or {}).items()},
        house=house,
    )
