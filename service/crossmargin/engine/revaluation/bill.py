"""Bills: one payment of the face amount."""

from __future__ import annotations

import numpy as np

from crossmargin.domain.instrument import Bill, Instrument
from crossmargin.engine.revaluation.discounting import discount_curves
from crossmargin.engine.revaluation.paid_schedules import Schedule, scheduled
from crossmargin.engine.revaluation.valuation import terms_of

curves = discount_curves


def _schedule(instrument: Instrument) -> Schedule:
    return Schedule(np.array([terms_of(instrument, Bill).maturity_date], dtype="datetime64[D]"), np.array([100.0]))


prepare = scheduled(_schedule)
