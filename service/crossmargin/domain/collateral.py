"""What counts as collateral, for how much, and up to what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.expectation import require_parameter
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
        self._require(0 <= self.residual_haircut_fraction < 1, "residual haircut", self.residual_haircut_fraction, "in [0, 1)")
        ends = [band.up_to_years for band in self.bands]
        self._require(ends[-1:] == [None], "end of the last maturity band", ends[-1] if ends else "missing", "open")
        self._require(_ascends(ends), "ends of maturity bands", _listed(ends), "ascending years")
        for band in self.bands:
            steps, haircuts = [tier.up_to for tier in band.tiers], [tier.haircut_fraction for tier in band.tiers]
            self._require(bool(steps) and _ascends(steps), "ends of tiers", _listed(steps), "ascending amounts, at least one")
            self._require(all(0 <= haircut <= 1 for haircut in haircuts), "haircuts of tiers", _listed(haircuts), "each in [0, 1]")
            # Marginal haircuts that rise keep the value concave, so that more collateral never counts for less.
            self._require(haircuts == sorted(haircuts), "haircuts of tiers", _listed(haircuts), "none below the one before")
        share, volume = self.share_limit_fraction, self.volume_limit_fraction
        self._require(share is None or 0 < share < 1, "share limit", share, "between 0 and 1")
        for name, most in (("absolute limit", self.absolute_limit), ("volume limit", volume), ("house limit", self.house_limit)):
            self._require(most is None or most >= 0, name, most, "zero or more")
        for name, part in (("supply limit", self.supply_limit_fraction), ("house share of supply", self.house_supply_fraction)):
            self._require(part is None or 0 <= part <= 1, name, part, "in [0, 1]")

    def _require(self, claim: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001 - a claim and its sentence
        require_parameter(claim, f"{name} of haircut schedule row {self.collateral_class}", value, expected)


def _ascends(ends: Sequence[Decimal | None]) -> bool:
    finite = [end for end in ends if end is not None]
    return finite == sorted(set(finite)) and None not in ends[:-1]


def _listed(values: Sequence[Decimal | None]) -> str:
    return ", ".join("open" if value is None else str(value) for value in values) or "missing"
