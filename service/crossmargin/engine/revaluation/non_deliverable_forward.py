"""Non-deliverable forwards: until the fixing, worth the deliverable forward between the same currencies."""

from __future__ import annotations

from collections.abc import Mapping

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument, NonDeliverableForward
from crossmargin.engine.revaluation.fx_forward import exchange
from crossmargin.engine.revaluation.later_payment import basis_kind, payment_curves
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import Valuation, expired, meeting_mark, one_by_one, terms_of


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    """Value the two payments that are compared, in their own currencies, up to the end of the fixing day.

    At the fixing the difference is turned into the settlement currency at that day's rate, so until then it moves as the payments do;
    that the payment comes some days after the fixing is left out. The mark is a present value in the settlement currency.
    """
    terms = terms_of(instrument, NonDeliverableForward)
    if terms.fixing_date < market.as_of.date():
        raise expired(instrument, ended=terms.fixing_date, as_of=market.as_of)
    claims = exchange(market, bought=terms.bought, sold=terms.sold, contract_rate=terms.contract_rate, day=terms.settlement_date)
    return Valuation(
        meeting_mark(claims, instrument, market),
        market.years_until_day(terms.settlement_date),
        notional=(market.price(terms.bought) / market.price(terms.settlement))[market.bases],
        basis=basis_kind(market, terms.bought, terms.sold),
        group=market.price_group(terms.bought) or market.price_group(terms.sold),
    )


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return the curves that payments of the two currencies that are compared are valued from."""
    terms = terms_of(instrument, NonDeliverableForward)
    return payment_curves(assets[terms.bought]) | payment_curves(assets[terms.sold])


revalue = one_by_one(_revalue)
