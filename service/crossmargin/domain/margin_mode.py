"""Whether a position of a cross account is better margined with the rest, or walled off."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.account import AccountMode
from crossmargin.domain.identifiers import AccountRef, InstrumentId, SnapshotId


@dataclass(frozen=True, slots=True)
class PositionAdvice:
    """One position, with the rest and walled off. Base currency; margins are maintenance margins unless said otherwise.

    Attributes:
        advice: ISOLATED where margining it with the rest saves less than the parameters' least benefit, else CROSS.
        margin_with: Of the account as it is. margin_without: of the account without the position.
        margin_alone: Of the position in a bucket of its own.
        benefit_fraction: 1 - (margin_with - margin_without) / margin_alone; above 1 for a hedge, 0 for a position without risk.
        capped_loss: What the client would put into the bucket and could lose at most: what covers its initial margin, or the position
            itself where that is worth more.
        expected_gap_loss: What the broker would bear beyond that on average over one margin period; worst_gap_loss: in the worst scenario.
    """

    instrument_id: InstrumentId
    advice: AccountMode
    margin_with: Decimal
    margin_without: Decimal
    margin_alone: Decimal
    benefit_fraction: Decimal
    capped_loss: Decimal
    expected_gap_loss: Decimal
    worst_gap_loss: Decimal

    @property
    def margin_added(self) -> Decimal:
        """What the position adds to the account's margin; negative for a hedge."""
        return self.margin_with - self.margin_without


@dataclass(frozen=True, slots=True)
class MarginModeAdvice:
    """Every position of an account but dollars, the one that could best be walled off first."""

    account: AccountRef
    sequence: int
    snapshot_id: SnapshotId
    least_benefit: Decimal
    positions: tuple[PositionAdvice, ...]
