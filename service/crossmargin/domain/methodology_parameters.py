"""Parameters of the methodologies beside the expected shortfall: ranges of the grids, and rates on notional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

from crossmargin.domain.expectation import parameter_refusal, require_parameter
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import FactorKind

_PRICE_KINDS = frozenset({FactorKind.SPOT.value, FactorKind.FX.value})
_YIELD_KINDS = frozenset({FactorKind.ZERO.value, FactorKind.SPREAD.value})


class _Row(Protocol):
    def lacks(self, kinds: frozenset[str]) -> str | None:
        """Return the name of what is needed for factors of these kinds and not there; None when all is."""


Row = TypeVar("Row", bound=_Row)


@dataclass(frozen=True, eq=False)
class ByUnderlying(Generic[Row]):
    """One row for each asset class, and rows of their own for offset groups that differ from their class."""

    classes: Mapping[str, Row]
    groups: Mapping[OffsetGroupId, Row]

    def row_of(self, group_id: OffsetGroupId, asset_class: str) -> Row | None:
        """Return the row of a group: its own, or that of its class; None when there is neither."""
        return self.groups.get(group_id, self.classes.get(asset_class))

    def check_fits(
        self, what: str, class_of_group: Mapping[OffsetGroupId, str], curves_of_group: Mapping[OffsetGroupId, tuple[str, ...]]
    ) -> None:
        """Raise INVALID_RISK_PARAMETERS unless every group has a row with all that its curves need, and no row is of a stranger."""
        strangers = sorted((set(self.groups) - set(class_of_group)) | (set(self.classes) - set(class_of_group.values())))
        require_parameter(not strangers, f"rows of {what}", strangers, "offset groups and asset classes of this set")
        for group_id, asset_class in class_of_group.items():
            row = self.row_of(group_id, asset_class)
            if row is None:
                raise parameter_refusal(f"row of {what} for {group_id}", "missing", f"one of its own or of its class {asset_class}")
            missing = row.lacks(frozenset(curve.partition(":")[0] for curve in curves_of_group[group_id]))
            require_parameter(missing is None, f"{missing} of {what} for {group_id}", None, "a value: the group has factors that it moves")


@dataclass(frozen=True, slots=True)
class ScanRange:
    """How far the sixteen scenarios move one underlying. Carry stands still.

    Attributes:
        price_fraction: Price scan range of spot prices and exchange rates, a simple return; None for a group without any.
        volatility_fraction: Volatility scan range as a fraction of the implied volatilities; None for a group without any.
        rate_move: Scan range of zero rates and credit spreads, a difference (0.01 is 100 bp); None for a group without any.
        price_move: Scan range of prices that may be below zero, a difference in USD; None for a group without any.
    """

    price_fraction: Decimal | None
    volatility_fraction: Decimal | None
    rate_move: Decimal | None
    price_move: Decimal | None = None

    def __post_init__(self) -> None:
        _require_if_given("price_fraction", self.price_fraction, 0, 1)
        require_parameter(
            self.volatility_fraction is None or 0 <= self.volatility_fraction < 1,
            "volatility_fraction",
            self.volatility_fraction,
            "in [0, 1)",
        )
        _require_differences(self.rate_move, self.price_move)

    def lacks(self, kinds: frozenset[str]) -> str | None:
        """See `ByUnderlying.check_fits`."""
        if self.price_fraction is None and kinds & _PRICE_KINDS:
            return "price_fraction"
        if self.volatility_fraction is None and FactorKind.VOL.value in kinds:
            return "volatility_fraction"
        return _lacking_difference(kinds, self.rate_move, self.price_move)


@dataclass(frozen=True, eq=False)
class SpanParameters:
    """The sixteen scenarios of SPAN.

    Attributes:
        extreme_multiple: Extreme move as a multiple of the scan range; above 1.
        cover_fraction: Share of the loss at an extreme move that counts.
        scan_ranges: How far each underlying moves.
    """

    extreme_multiple: Decimal
    cover_fraction: Decimal
    scan_ranges: ByUnderlying[ScanRange]

    def __post_init__(self) -> None:
        require_parameter(self.extreme_multiple > 1, "extreme_multiple", self.extreme_multiple, "above 1")
        require_parameter(0 <= self.cover_fraction <= 1, "cover_fraction", self.cover_fraction, "in [0, 1]")
        for name, row in (*self.scan_ranges.classes.items(), *self.scan_ranges.groups.items()):
            fall = self.extreme_multiple * (row.price_fraction or 0)
            require_parameter(fall < 1, f"extreme_multiple x price_fraction of {name}", fall, "below 1: a price stays above zero")


@dataclass(frozen=True, slots=True)
class ValuationRange:
    """How far the ten points move one underlying: five down and five up. Volatilities and carry stand still.

    Attributes:
        lowest_fraction, highest_fraction: Ends of the range of spot prices and exchange rates, simple returns; None for a group
            without any.
        rate_move: Ends of the range of zero rates and credit spreads, either way, a difference; None for a group without any.
        price_move: Ends of the range of prices that may be below zero, either way, a difference in USD; None for a group without any.
    """

    lowest_fraction: Decimal | None
    highest_fraction: Decimal | None
    rate_move: Decimal | None
    price_move: Decimal | None = None

    def __post_init__(self) -> None:
        require_parameter(
            self.lowest_fraction is None or -1 < self.lowest_fraction < 0, "lowest_fraction", self.lowest_fraction, "between -1 and 0"
        )
        require_parameter(self.highest_fraction is None or self.highest_fraction > 0, "highest_fraction", self.highest_fraction, "above 0")
        _require_differences(self.rate_move, self.price_move)

    def lacks(self, kinds: frozenset[str]) -> str | None:
        """See `ByUnderlying.check_fits`."""
        for name in ("lowest_fraction", "highest_fraction"):
            if getattr(self, name) is None and kinds & _PRICE_KINDS:
                return name
        return _lacking_difference(kinds, self.rate_move, self.price_move)


@dataclass(frozen=True, eq=False)
class TimsParameters:
    """The ten valuation points of TIMS.

    Attributes:
        contract_minimum: Least requirement of a derivative contract, base currency for each unit of its multiplier.
        valuation_ranges: How far each underlying moves.
    """

    contract_minimum: Decimal
    valuation_ranges: ByUnderlying[ValuationRange]

    def __post_init__(self) -> None:
        require_parameter(self.contract_minimum >= 0, "contract_minimum", self.contract_minimum, "zero or more")


@dataclass(frozen=True, slots=True)
class RateBand:
    """Rates on the notional of what ends within `up_to_years`, None for any longer maturity. Fractions; what never ends is in the first."""

    up_to_years: Decimal | None
    initial_fraction: Decimal
    maintenance_fraction: Decimal

    def __post_init__(self) -> None:
        require_parameter(self.maintenance_fraction >= 0, "maintenance_fraction", self.maintenance_fraction, "zero or more")
        least = self.maintenance_fraction
        require_parameter(
            self.initial_fraction >= least, "initial_fraction", self.initial_fraction, f"at least maintenance_fraction {least}"
        )


@dataclass(frozen=True, slots=True)
class RatioRates:
    """Rates of one underlying by residual maturity, shortest first."""

    bands: tuple[RateBand, ...]

    def __post_init__(self) -> None:
        ends = [band.up_to_years for band in self.bands]
        finite = [end for end in ends[:-1] if end is not None]
        require_parameter(
            ends[-1:] == [None] and len(finite) == len(ends) - 1 and finite == sorted(set(finite)),
            "bands of ratio rates",
            ends,
            "ascending, the last null",
        )

    def lacks(self, kinds: frozenset[str]) -> str | None:  # noqa: ARG002 - rates on notional need no factors
        """See `ByUnderlying.check_fits`."""
        return None


@dataclass(frozen=True, eq=False)
class RatioParameters:
    """Fixed rates on notional, as exchanges state them by leverage: an initial fraction of 0.1 is a leverage of ten."""

    rates: ByUnderlying[RatioRates]


@dataclass(frozen=True, eq=False)
class MethodologyParameters:
    """Parameters of all methodologies beside the expected shortfall. Rates of the standard schedule stand with its floor."""

    span_grid: SpanParameters
    tims_grid: TimsParameters
    ratio: RatioParameters

    def check_fits(
        self,
        class_of_group: Mapping[OffsetGroupId, str],
        curves_of_group: Mapping[OffsetGroupId, tuple[str, ...]],
    ) -> None:
        """Raise INVALID_RISK_PARAMETERS unless every offset group is covered."""
        self.span_grid.scan_ranges.check_fits("scan_ranges", class_of_group, curves_of_group)
        self.tims_grid.valuation_ranges.check_fits("valuation_ranges", class_of_group, curves_of_group)
        self.ratio.rates.check_fits("ratio rates", class_of_group, curves_of_group)


def _require_differences(rate_move: Decimal | None, price_move: Decimal | None) -> None:
    _require_if_given("rate_move", rate_move, 0, 1)
    require_parameter(price_move is None or price_move > 0, "price_move", price_move, "above 0")


def _lacking_difference(kinds: frozenset[str], rate_move: Decimal | None, price_move: Decimal | None) -> str | None:
    if rate_move is None and kinds & _YIELD_KINDS:
        return "rate_move"
    return "price_move" if price_move is None and FactorKind.PRICE.value in kinds else None


def _require_if_given(name: str, value: Decimal | None, low: int, high: int) -> None:
    require_parameter(value is None or low < value < high, name, value, f"between {low} and {high}")
