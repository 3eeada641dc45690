"""The series of every account: its figures, and the bridge to its requirement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crossmargin.adapters.prometheus.gauge_columns import ColumnFamily, Labelled, column_of
from crossmargin.domain.margin import MarginResult, RequirementBridge


def _ratio(utilization: Decimal | None) -> float:
    return float("inf") if utilization is None else float(utilization)


@dataclass(frozen=True, slots=True)
class AccountGauge:
    """One figure of an account; None when the account has none, which leaves the account out of the family."""

    name: str
    help_text: str
    read: Callable[[MarginResult], float | None]


UTILIZATION: Final = AccountGauge(
    "crossmargin_utilization_ratio",
    "Maintenance margin over equity: watch from 0.6, at risk 0.7, margin call 0.8, liquidation 1; +Inf when equity is gone.",
    lambda result: _ratio(result.utilization),
)
ACCOUNT_GAUGES: Final = (
    UTILIZATION,
    AccountGauge(
        "crossmargin_utilization_low_ratio",
        "Utilization at the most favourable end of doubted market data, by which margin is called; the utilization itself without doubt.",
        lambda result: _ratio(result.utilization_range[0]),
    ),
    AccountGauge(
        "crossmargin_utilization_high_ratio",
        "Utilization at the least favourable end of doubted market data; the utilization itself without doubt.",
        lambda result: _ratio(result.utilization_range[1]),
    ),
    AccountGauge(
        "crossmargin_band_provisional",
        "1 when the account is in margin call or worse on suspect market data: look before calling.",
        lambda result: float(result.quality is not None and result.quality.is_provisional),
    ),
    AccountGauge("crossmargin_equity_usd", "Equity after haircuts.", lambda result: float(result.equity.equity)),
    AccountGauge(
        "crossmargin_initial_margin_usd",
        "Initial margin: below it margin is called.",
        lambda result: float(result.requirement.initial_margin),
    ),
    AccountGauge(
        "crossmargin_maintenance_margin_usd",
        "Maintenance margin: below it the account is liquidated.",
        lambda result: float(result.requirement.maintenance_margin),
    ),
    AccountGauge(
        "crossmargin_excess_usd", "Equity less initial margin; negative is a deficit.", lambda result: float(result.excess_to_initial)
    ),
    AccountGauge(
        "crossmargin_distance_to_liquidation_ratio",
        "Share of equity that may be lost before the account is liquidated; 0 or less: it is to be. No series without equity.",
        lambda result: None if result.utilization is None else float(1 - result.utilization),
    ),
    AccountGauge(
        "crossmargin_collateral_haircut_usd",
        "Haircuts taken off collateral.",
        lambda result: float(sum(line.haircut for line in result.equity.lines)),
    ),
    AccountGauge(
        "crossmargin_netting_benefit_ratio",
        "Share of the gross standalone margins that netting frees; 0 without risk.",
        lambda result: float(result.requirement.netting_benefit_fraction),
    ),
    AccountGauge(
        "crossmargin_gap_loss_usd",
        "Equity of an isolated account below zero, which the broker bears and nobody is charged for. Isolated accounts only.",
        lambda result: None if result.gap is None else float(result.gap.realized),
    ),
    AccountGauge(
        "crossmargin_expected_gap_loss_usd",
        "Mean loss beyond the equity of an isolated account over the scenarios: the put that the broker writes. Isolated accounts only.",
        lambda result: None if result.gap is None else float(result.gap.expected),
    ),
)

BRIDGE_PARTS: Final[Mapping[str, Callable[[RequirementBridge], Decimal]]] = {
    "gross": lambda bridge: bridge.gross,
    "netting_inside_groups": lambda bridge: bridge.netting_inside_groups,
    "netting_inside_classes": lambda bridge: bridge.netting_inside_classes,
    "netting_across_classes": lambda bridge: bridge.netting_across_classes,
    "charges": lambda bridge: sum((charge.amount for charge in bridge.charges), Decimal(0)),
}
"""From the standalone margins to the maintenance margin: gross, less the three nettings, plus charges."""


def account_families(results: Labelled[MarginResult]) -> Iterator[ColumnFamily]:
    """Yield a family for each figure of an account, and one for the bridges, in the order of the accounts."""
    for gauge in ACCOUNT_GAUGES:
        yield ColumnFamily(gauge.name, gauge.help_text, [column_of(results, gauge.read)])
    yield ColumnFamily(
        "crossmargin_requirement_part_usd",
        "Bridge to the maintenance margin: gross is every position margined alone; the three nettings are taken off, charges added.",
        [column_of(results, _part_of(read), part=part) for part, read in BRIDGE_PARTS.items()],
    )


def _part_of(read: Callable[[RequirementBridge], Decimal]) -> Callable[[MarginResult], float]:
    return lambda result: float(read(result.requirement))
