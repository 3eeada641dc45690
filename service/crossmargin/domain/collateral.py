"""What counts as collateral, for how much, and up to what."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId


@unique
class CollateralPolicy(Enum):
    """How a positive holding of an eligible asset enters an account."""

    RISKED = "risked"
    """Full market value in equity less the residual haircut; its profits and losses offset the rest of the book."""
    PLEDGED = "pledged"
    """Market value less the flat haircut in equity; outside the scenarios, so it offsets nothing and risks nothing."""
    AUTO = "auto"
    """Split into a risked and a pledged amount so that the account has the most excess to its initial margin."""


@dataclass(frozen=True, slots=True)
class AccountCollateralPolicy:
    """The policy of one account for one asset."""

    account: AccountRef
    instrument_id: InstrumentId
    policy: CollateralPolicy


@dataclass(frozen=True, slots=True)
class HaircutTier:
    """A slice of market value and the flat haircut on that slice.

    Attributes:
        up_to: Upper end of the slice in base currency; None for the slice without end. Above the last finite tier nothing counts.
        haircut_fraction: Taken off the slice, from 0 to 1.
    """

    up_to: Decimal | None
    haircut_fraction: Decimal


@dataclass(frozen=True, slots=True)
class MaturityBand:
    """Tiers for holdings whose residual maturity is at most `up_to_years`; None holds for any longer maturity and for what has none."""

    up_to_years: Decimal | None
    tiers: tuple[HaircutTier, ...]


@dataclass(frozen=True, slots=True)
class CollateralTerms:
    """One row of the haircut schedule.

    Attributes:
        collateral_class: Name that instruments refer to.
        residual_haircut_fraction: Taken off risked value: what the scenarios cannot see, such as the cost of selling.
        bands: Flat haircuts on pledged value, by maturity, shortest first.
        share_limit_fraction: Largest share of the account's collateral value this asset may make up; None for no limit.
        absolute_limit: Largest market value that counts, in base currency; None for no limit.
        has_fx_mismatch: True when a pledged holding whose money is not the base currency takes the scaled FX haircut as well.
        volume_limit_fraction: Largest market value that counts, as a share of what the asset's offset group trades in a day; None for no
            limit.
        supply_limit_fraction: Largest amount that counts, as a share of the units in circulation; None for no limit. An asset whose
            circulating supply the set does not say then counts nothing.
        house_limit: What of the asset counts for all clients together, base currency; None for no limit. Above it every holding counts
            for its part: min(1, limit / held by all clients).
        house_supply_fraction: The same as a share of the units in circulation.
    """

    collateral_class: str
    residual_haircut_fraction: Decimal
    bands: tuple[MaturityBand, ...]
    share_limit_fraction: Decimal | None = None
    absolute_limit: Decimal | None = None
    has_fx_mismatch: bool = False
    volume_limit_fraction: Decimal | None = None
    supply_limit_fraction: Decimal | None = None
    house_limit: Decimal | None = None
    house_supply_fraction: Decimal | None = None

    def __post_init__(self) -> None:
        where = f"haircut schedule row {self.collateral_class}"
        _require(Decimal(0) <= self.residual_haircut_fraction < Decimal(1), f"{where}: residual haircut is not in [0, 1)")
        _require(
            bool(self.bands) and self.bands[-1].up_to_years is None,
            f"{where}: the last maturity band must be open-ended",
        )
        _require(_ascends([band.up_to_years for band in self.bands]), f"{where}: maturity bands are not ascending")
        for band in self.bands:
            _require(
                bool(band.tiers) and _ascends([tier.up_to for tier in band.tiers]),
                f"{where}: tiers are missing or not ascending",
            )
            haircuts = [tier.haircut_fraction for tier in band.tiers]
            _require(all(Decimal(0) <= haircut <= Decimal(1) for haircut in haircuts), f"{where}: a haircut is not in [0, 1]")
            # Marginal haircuts that rise keep the value concave, so that more collateral never counts for less.
            _require(haircuts == sorted(haircuts), f"{where}: haircuts must not fall from tier to tier")
        _require(
            self.share_limit_fraction is None or Decimal(0) < self.share_limit_fraction < Decimal(1),
            f"{where}: share limit is not between 0 and 1",
        )
        _require(self.absolute_limit is None or self.absolute_limit >= 0, f"{where}: absolute limit is negative")
        _require(self.volume_limit_fraction is None or self.volume_limit_fraction >= 0, f"{where}: volume limit is negative")
        _require(self.house_limit is None or self.house_limit >= 0, f"{where}: house limit is negative")
        for name, share in (("supply limit", self.supply_limit_fraction), ("house share of supply", self.house_supply_fraction)):
            _require(share is None or Decimal(0) <= share <= Decimal(1), f"{where}: {name} is not in [0, 1]")


def _ascends(ends: list[Decimal | None]) -> bool:
    finite = [end for end in ends if end is not None]
    return finite == sorted(set(finite)) and None not in ends[:-1]


def _require(claim: bool, otherwise: str) -> None:  # noqa: FBT001 - a claim and its sentence
    if not claim:
        raise DomainError(Reason.INVALID_RISK_PARAMETERS, otherwise)
