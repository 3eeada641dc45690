"""What closed contracts leave in coins and currencies other than dollars: how much of it there is to sell, and what having it adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import BASE_CURRENCY, BookId, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.money import EXACT, LEDGER_UNIT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position, net_holdings
from crossmargin.engine.liquidation_cost import CloseOut, decimal_price
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_BOOK: Final = BookId("main")
_BIT: Final = 0.01

Fractions = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LeftMoney:
    """One asset that something held settles in. Units of it at the marks, axis L being the legs of the book that can be closed.

    Attributes:
        price: Of one unit, base currency.
        left: [L] what closing the whole of each leg leaves of it; negative is owed.
        owned_first, owed_first: What there is before anything is closed: what is held, and what contracts left that are closed already.
    """

    asset: InstrumentId
    price: Decimal
    left: Fractions
    owned_first: float
    owed_first: float

    def owned(self, fractions: Fractions) -> float:
        """Return what there is to sell once these fractions of the legs are closed."""
        return self.owned_first + float(np.maximum(self.left, 0.0) @ fractions)

    def owed(self, fractions: Fractions) -> float:
        """Return what there is to buy back."""
        return self.owed_first + float(np.maximum(-self.left, 0.0) @ fractions)

    @property
    def most(self) -> float:
        """Return all that can ever be sold and bought back."""
        return self.owned_first + self.owed_first + float(np.abs(self.left).sum())

    @property
    def bit(self) -> float:
        """A hundredth of all that there may be, units: enough for the margin, which is rounded to the cent, to say what it adds."""
        return _BIT * self.most

    def moved(self, portfolio: Portfolio, sign: int) -> Portfolio:
        """Return the account with a bit more of the asset (sign 1) or less (-1), and with dollars the other way, at the mark."""
        size = (Decimal(sign) * Decimal(self.bit)).quantize(LEDGER_UNIT, context=EXACT)
        bits = [Position(_BOOK, self.asset, size), Position(_BOOK, BASE_CURRENCY, EXACT.minus(EXACT.multiply(size, self.price)))]
        held = [Position(_BOOK, each.instrument_id, each.quantity, each.cost) for each in portfolio.holdings]
        return replace(portfolio, holdings=net_holdings([*held, *bits]))


def settled_assets(portfolio: Portfolio, instruments: Mapping[InstrumentId, Instrument]) -> frozenset[InstrumentId]:
    """Return the assets but dollars that something else that is held settles in."""
    held = [instruments[each.instrument_id] for each in portfolio.holdings if each.quantity or each.cost]
    return frozenset(each.settlement for each in held if not each.is_asset) - {BASE_CURRENCY}


def money_left(asset: InstrumentId, portfolio: Portfolio, legs: Sequence[CloseOut], market: RevaluedMarket) -> LeftMoney:
    """Return what there is of an asset, and what closing the legs leaves of it."""
    first = [float(holding.quantity) for holding in portfolio.holdings if holding.instrument_id == asset]
    first += [-float(each.cost) for each in portfolio.holdings if not each.quantity and _settles_in(_instrument(each, market), asset)]
    return LeftMoney(
        asset=asset,
        price=decimal_price(float(market.unit_value[market.row_of[asset]])),
        left=np.array([_left(leg) if _settles_in(leg.instrument, asset) else 0.0 for leg in legs]),
        owned_first=sum(max(0.0, part) for part in first),
        owed_first=sum(max(0.0, -part) for part in first),
    )


def _instrument(holding: Holding, market: RevaluedMarket) -> Instrument:
    return market.instruments[market.row_of[holding.instrument_id]]


def _settles_in(instrument: Instrument, asset: InstrumentId) -> bool:
    return instrument.settlement == asset


def _left(leg: CloseOut) -> float:
    return float(leg.holding.quantity) * leg.unit_value / leg.settlement_price - float(leg.holding.cost)
