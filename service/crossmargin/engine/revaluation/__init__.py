"""What every instrument is worth, and gains or loses in every scenario."""

from crossmargin.engine.revaluation.prepared_instruments import PreparedInstruments, prepared, required_curves
from crossmargin.engine.revaluation.revalue import moved_values, required_factors, revalue_market, revalue_moved_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

__all__ = [
    "PreparedInstruments",
    "RevaluedMarket",
    "moved_values",
    "prepared",
    "required_curves",
    "required_factors",
    "revalue_market",
    "revalue_moved_market",
]
