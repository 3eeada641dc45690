"""Parameters of liquidations: where a plan ends, what trading is counted to cost, and how long an approval is good for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from crossmargin.domain.expectation import require_parameter


@dataclass(frozen=True, slots=True)
class LiquidationParameters:
    """How accounts are liquidated. All but the impact coefficient are the house's own choice.

    Attributes:
        target_utilization: Where a plan ends, above 0 and below 1.
        impact_coefficient: Y of the square-root law, cost = Y sigma sqrt(Q / V) of the amount Q, a day's volatility sigma and volume V: of
            order one in every market that was measured (Almgren, Thum, Hauptmann and Li 2005; Toth et al. 2011, "Anomalous price impact
            and the critical nature of liquidity in financial markets"). Zero trades at half the spread.
        piece_volume_fraction: Of a day's volume: what one piece may trade of a group, as far as there are no more than `most_pieces`.
        smallest_sale: Base currency: what closed contracts leave is neither sold nor bought back for less.
        limit_tolerance_fraction: By how much the limit of an order is worse than the price that its last bit is expected at.
        end_tolerance: By how much utilization may end above the target at the newer market that a plan is approved on, or that what is left
            of it is looked at on, every order counted at its mark there; and below it, with a unit less of everything and the expected
            costs paid. Also the fraction of what stays pledged that a plan leaves equity above nothing by.
        lifetime_minutes: How long an approval is good for: a market that has had longer to move deserves a plan of its own.
        report_minutes: How long an open liquidation may go without anything reported of it before people are told.
    """

    target_utilization: Decimal
    impact_coefficient: Decimal
    piece_volume_fraction: Decimal
    most_pieces: int
    smallest_sale: Decimal
    limit_tolerance_fraction: Decimal
    end_tolerance: Decimal
    lifetime_minutes: int
    report_minutes: int

    def __post_init__(self) -> None:
        _require(0 < self.target_utilization < 1, "target_utilization", self.target_utilization, "above 0 and below 1")
        _require(0 <= self.impact_coefficient <= 100, "impact_coefficient", self.impact_coefficient, "0 to 100")
        _require(0 < self.piece_volume_fraction <= 1, "piece_volume_fraction", self.piece_volume_fraction, "above 0 and at most 1")
        _require(1 <= self.most_pieces <= 200, "most_pieces", self.most_pieces, "1 to 200")
        _require(0 < self.smallest_sale <= 1_000_000, "smallest_sale", self.smallest_sale, "above 0 and at most 1000000")
        _require(0 <= self.limit_tolerance_fraction < 1, "limit_tolerance_fraction", self.limit_tolerance_fraction, "in [0, 1)")
        _require(0 <= self.end_tolerance < 1, "end_tolerance", self.end_tolerance, "in [0, 1)")
        _require(1 <= self.lifetime_minutes <= 10_080, "lifetime_minutes", self.lifetime_minutes, "1 to 10080, a week")
        within = f"1 to lifetime_minutes {self.lifetime_minutes}"
        _require(1 <= self.report_minutes <= self.lifetime_minutes, "report_minutes", self.report_minutes, within)

    @property
    def lifetime(self) -> timedelta:
        """How long an approval is good for."""
        return timedelta(minutes=self.lifetime_minutes)

    @property
    def report_within(self) -> timedelta:
        """How long an open liquidation may go without anything reported of it."""
        return timedelta(minutes=self.report_minutes)


def _require(claim: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001 - a claim and its sentence
    require_parameter(claim, f"{name} of liquidations", value, expected)


FIRST_LIQUIDATION: Final = LiquidationParameters(
    target_utilization=Decimal("0.75"),
    impact_coefficient=Decimal(1),
    piece_volume_fraction=Decimal("0.01"),
    most_pieces=20,
    smallest_sale=Decimal(1),
    limit_tolerance_fraction=Decimal(0),
    end_tolerance=Decimal("0.02"),
    lifetime_minutes=240,
    report_minutes=30,
)
"""What a set says that was stored before sets said it."""
