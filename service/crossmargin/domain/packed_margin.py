"""The margin of an account in text and numbers alone: sent from one process to another for a tenth of what a `MarginResult` takes."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import (
    Band,
    Charge,
    CollateralLine,
    Contribution,
    DataQuality,
    EquityBridge,
    GapLoss,
    GroupRequirement,
    HeldPeg,
    MarginResult,
    MarginStamp,
    RequirementBridge,
    WorstScenario,
)

_BANDS: Final = tuple(Band)
_POLICIES: Final = {policy.value: policy for policy in CollateralPolicy}
_NAMES_KNOWN: Final = 100_000
_Line: TypeAlias = tuple[str, str | None, tuple[str, ...], HeldPeg | None]
_Charges: TypeAlias = tuple[tuple[str, str], ...]


class _Beside(NamedTuple):
    """What few results have, as it is."""

    groups: tuple[GroupRequirement, ...]
    contributions: tuple[Contribution, ...]
    worst_scenarios: tuple[WorstScenario, ...]
    gap: GapLoss | None
    quality: DataQuality | None


_NOTHING_BESIDE: Final = _Beside((), (), (), None, None)


class PackedMargin(NamedTuple):
    """A margin result but for what its stamp shares with those of all accounts of a run. Amounts are texts, exact to the last digit.

    Attributes:
        band: Its place among all bands.
        equity: Collateral, liabilities, contract value and their sum.
        lines: Of each the instrument, the policy, its amounts in the order of `CollateralLine`, and the peg.
        requirement: In the order of `RequirementBridge`, without what has lines of its own.
        beside: None when there is nothing beside all this.
    """

    utilization: str | None
    band: int
    equity: tuple[str, ...]
    lines: tuple[_Line, ...]
    requirement: tuple[str, ...]
    charges: _Charges
    initial_only: _Charges
    beside: _Beside | None


def packed_margin(result: MarginResult) -> PackedMargin:
    """Return a result packed."""
    equity, requirement = result.equity, result.requirement
    beside = _Beside(result.groups, result.contributions, result.worst_scenarios, result.gap, result.quality)
    return PackedMargin(
        utilization=None if result.utilization is None else str(result.utilization),
        band=_BANDS.index(result.band),
        equity=_texts(equity.collateral, equity.liabilities, equity.contract_value, equity.equity),
        lines=tuple(map(_packed_line, equity.lines)),
        requirement=_texts(
            requirement.gross,
            requirement.netting_inside_groups,
            requirement.netting_inside_classes,
            requirement.netting_across_classes,
            requirement.market_requirement,
            requirement.maintenance_margin,
            requirement.initial_margin,
        ),
        charges=_packed_charges(requirement.charges),
        initial_only=_packed_charges(requirement.initial_only),
        beside=None if beside == _NOTHING_BESIDE else beside,
    )


def unpacked_margin(packed: PackedMargin, stamp: MarginStamp) -> MarginResult:
    """Return the result that was packed, equal to it in every digit; `stamp` is its own."""
    gross, inside_groups, inside_classes, across_classes, market, maintenance, initial = map(Decimal, packed.requirement)
    collateral, liabilities, contract_value, equity = map(Decimal, packed.equity)
    groups, contributions, worst_scenarios, gap, quality = packed.beside or _NOTHING_BESIDE
    return MarginResult(
        stamp,
        EquityBridge(collateral, liabilities, contract_value, equity, tuple(map(_line, packed.lines))),
        RequirementBridge(
            gross,
            inside_groups,
            inside_classes,
            across_classes,
            market,
            _charges(packed.charges),
            maintenance,
            initial,
            _charges(packed.initial_only),
        ),
        None if packed.utilization is None else Decimal(packed.utilization),
        _BANDS[packed.band],
        groups,
        contributions,
        worst_scenarios,
        gap,
        quality,
    )


def _packed_line(line: CollateralLine) -> _Line:
    amounts = _texts(line.quantity, line.market_value, line.haircut, line.over_limit, line.value_in_equity, line.risked, line.pledged)
    return str(line.instrument_id), None if line.policy is None else line.policy.value, amounts, line.peg


def _line(packed: _Line) -> CollateralLine:
    name, policy, amounts, peg = packed
    quantity, market_value, haircut, over_limit, value_in_equity, risked, pledged = map(Decimal, amounts)
    chosen = None if policy is None else _POLICIES[policy]
    return CollateralLine(_instrument(name), chosen, quantity, market_value, haircut, over_limit, value_in_equity, risked, pledged, peg)


def _packed_charges(charges: tuple[Charge, ...]) -> _Charges:
    return tuple((charge.name, str(charge.amount)) for charge in charges)


def _charges(packed: _Charges) -> tuple[Charge, ...]:
    return tuple(Charge(name, Decimal(amount)) for name, amount in packed)


def _texts(*amounts: Decimal) -> tuple[str, ...]:
    return tuple(map(str, amounts))


@lru_cache(_NAMES_KNOWN)
def _instrument(text: str) -> InstrumentId:
    return InstrumentId(text)
