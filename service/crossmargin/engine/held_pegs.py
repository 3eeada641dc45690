"""How the stablecoins of an account stand that are off their pegs."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from crossmargin.domain.instrument import Instrument
from crossmargin.domain.margin import HeldPeg
from crossmargin.domain.money import EXACT, LEDGER_UNIT
from crossmargin.domain.peg import used_price
from crossmargin.engine.charges import has_lost_peg
from crossmargin.engine.portfolio_arrays import ChargeRates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import peg_factor, spot_factor


def held_peg(instrument: Instrument, market: RevaluedMarket, rates: ChargeRates) -> HeldPeg | None:
    """Return how a stablecoin stands that is off its peg or counts at less than its price; None for one that is well, and anything else.

    By the snapshot as it is; None after a hypothetical move.
    """
    snapshot, name = market.snapshot, instrument.instrument_id
    peg = None if snapshot is None else snapshot.pegs.get(name)
    if snapshot is None or peg is None:
        return None
    price = snapshot.marks[name] if name in snapshot.marks else snapshot.levels[spot_factor(name)]
    currency = peg_factor(instrument)
    counted = used_price(price, Decimal(1) if currency is None else snapshot.levels[currency], peg)
    if counted == price and peg.below_since is None:
        return None
    return HeldPeg(
        price=price,
        counted_price=counted if counted == price else counted.quantize(LEDGER_UNIT, rounding=ROUND_FLOOR, context=EXACT),
        below_since=peg.below_since,
        back_since=peg.back_since,
        is_lost=has_lost_peg(market.row_of[name], market, rates),
    )
