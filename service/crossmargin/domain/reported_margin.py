"""A margin in the currency that an account reports in: the same equity and requirement, at the price of the margin's own market."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import Charge, CollateralLine, EquityBridge, MarginResult, RequirementBridge
from crossmargin.domain.money import EXACT, round_down_to_cent, round_up_to_cent

_Round: TypeAlias = Callable[[Decimal], Decimal]


@dataclass(frozen=True, slots=True)
class ReportedMargin:
    """Equity and requirement of one account in `currency`, rounded to its hundredth against the client.

    Attributes:
        price: Base currency for one unit of `currency`, as the snapshot of the margin says.
    """

    currency: InstrumentId
    price: Decimal
    equity: EquityBridge
    requirement: RequirementBridge

    @property
    def excess_to_initial(self) -> Decimal:
        """Equity above the initial margin; never above zero where there is a deficit in base currency."""
        return self.equity.equity - self.requirement.initial_margin

    @property
    def excess_to_maintenance(self) -> Decimal:
        """Equity above the maintenance margin; never above zero where there is a deficit in base currency."""
        return self.equity.equity - self.requirement.maintenance_margin


def reported_in(margin: MarginResult, currency: InstrumentId, price: Decimal) -> ReportedMargin:
    """Return a margin in another currency. Risk is measured in base currency all the same: only the unit of the answer is another one.

    Every line is rounded against the client, and sums follow from the lines, so that both bridges add up. Utilization and band are
    those in base currency. With a price of 1 nothing changes.
    """

    def converted(amount: Decimal) -> Decimal:
        return EXACT.divide(amount, price)

    def value(amount: Decimal) -> Decimal:
        return round_down_to_cent(converted(amount))

    def need(amount: Decimal) -> Decimal:
        return round_up_to_cent(converted(amount))

    return ReportedMargin(currency, price, _equity(margin.equity, value, need), _requirement(margin.requirement, value, need))


def _equity(equity: EquityBridge, value: _Round, need: _Round) -> EquityBridge:
    lines = tuple(_line(line, value, need) for line in equity.lines)
    collateral = sum((line.value_in_equity for line in lines if line.policy is not None), Decimal(0))
    liabilities = sum((line.value_in_equity for line in lines if line.policy is None), Decimal(0))
    contract_value = value(equity.contract_value)
    return EquityBridge(collateral, liabilities, contract_value, collateral + liabilities + contract_value, lines)


def _line(line: CollateralLine, value: _Round, need: _Round) -> CollateralLine:
    """Return a line whose haircut takes up the hundredth, as it does in base currency."""
    in_equity = value(line.value_in_equity)
    market_value = max(in_equity, value(line.market_value))
    over_limit = min(market_value - in_equity, need(line.over_limit))
    is_split = bool(line.risked or line.pledged)
    risked = min(market_value, value(line.risked)) if is_split else Decimal(0)
    return replace(
        line,
        market_value=market_value,
        haircut=market_value - in_equity - over_limit,
        over_limit=over_limit,
        value_in_equity=in_equity,
        risked=risked,
        pledged=market_value - risked if is_split else Decimal(0),
    )


def _requirement(bridge: RequirementBridge, value: _Round, need: _Round) -> RequirementBridge:
    market = need(bridge.market_requirement)
    inside_groups, inside_classes = value(bridge.netting_inside_groups), value(bridge.netting_inside_classes)
    across_classes = value(bridge.netting_across_classes)
    charges = tuple(Charge(charge.name, need(charge.amount)) for charge in bridge.charges)
    return RequirementBridge(
        gross=market + inside_groups + inside_classes + across_classes,
        netting_inside_groups=inside_groups,
        netting_inside_classes=inside_classes,
        netting_across_classes=across_classes,
        market_requirement=market,
        charges=charges,
        maintenance_margin=market + sum((charge.amount for charge in charges), Decimal(0)),
        initial_margin=need(bridge.initial_margin),
        initial_only=tuple(Charge(charge.name, need(charge.amount)) for charge in bridge.initial_only),
    )
