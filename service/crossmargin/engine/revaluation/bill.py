"""Bills: one payment of the face amount."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossmargin.domain.instrument import Bill, Instrument
from crossmargin.engine.revaluation.discounting import Payments, discount_curves, revalue_payments
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import Outcome, expired, terms_of


def revalue(instruments: Sequence[Instrument], market: ShockedMarket) -> list[Outcome]:
    """Return the outcomes of bills: 0.01 x price per unit of face."""
    return revalue_payments(instruments, market, _remaining)


curves = discount_curves


def _remaining(instrument: Instrument, market: ShockedMarket) -> Payments:
    maturity = terms_of(instrument, Bill).maturity_date
    if maturity <= market.as_of.date():
        raise expired(instrument, ended=maturity, as_of=market.as_of)
    return Payments(np.array([market.years_until_day(maturity)]), np.array([100.0]))
