"""Which limits the mark of an instrument is held to: the sign it may have decides whether it moves by return or by difference."""

from __future__ import annotations

import pytest

from crossmargin.domain.errors import DomainError
from crossmargin.domain.instrument import check_trade_price
from crossmargin.domain.market_building import kind_of_mark
from crossmargin.domain.market_quality_parameters import DIFFERENCE_KINDS, QuoteKind
from crossmargin.domain.money import LEDGER_UNIT
from tests.unit.domain import instruments as the
from tests.unit.engine.revaluation.markets import a_delivery_future


@pytest.mark.parametrize("instrument", [*the.EVERY_KIND, a_delivery_future()], ids=lambda each: each.instrument_id)
def test_what_may_trade_below_zero_moves_by_difference_and_nothing_else_does(instrument):
    assert (kind_of_mark(instrument) in DIFFERENCE_KINDS) == may_be_negative(instrument)


def test_oil_is_held_to_the_limits_of_its_price():
    assert kind_of_mark(a_delivery_future()) is QuoteKind.PRICE


def may_be_negative(instrument) -> bool:
    try:
        check_trade_price(instrument, -LEDGER_UNIT)
    except DomainError:
        return False
    return True
