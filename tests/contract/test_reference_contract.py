"""What the store of instruments promises."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import get_args

from crossmargin.domain.holidays import HolidayCalendar
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    BusinessDayRule,
    Cash,
    CashFlow,
    CashFlows,
    CryptoAsset,
    DatedFuture,
    DayCount,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    InterestRateSwap,
    NonDeliverableForward,
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
    Stablecoin,
    Terms,
)
from crossmargin.domain.parameter_governance import put_in_force
from crossmargin.usecases.ports.page import Page
from tests.builders import AS_OF, an_instrument, risk_parameters

USD, EUR, BTC = (InstrumentId(name) for name in ("USD", "EUR", "BTC"))
EXPIRY = datetime(2026, 12, 25, 8, 0, 0, 123456, tzinfo=UTC)
BOND = FixedRateBond(USD, Decimal("0.04250"), 2, date(2021, 5, 15), date(2031, 5, 15))
OF_EVERY_KIND = [
    an_instrument("USD", Cash("USD"), collateral_class="USD", places=2),
    an_instrument("RLUSD", Stablecoin("USD", "Ripple")),
    an_instrument("BTC", CryptoAsset()),
    an_instrument("BTC-PERP", Perpetual(BTC, BTC, Decimal("0.1"), Payoff.INVERSE)),
    an_instrument("BTC-DEC26", DatedFuture(BTC, USD, Decimal(5), Payoff.LINEAR, EXPIRY)),
    an_instrument("BTC-CALL", EuropeanOption(BTC, BTC, Decimal(1), OptionRight.CALL, Decimal("1E+5"), EXPIRY, PremiumStyle.COIN_SETTLED)),
    an_instrument("EUR-FWD", FxForward(EUR, USD, Decimal("1.0825"), date(2027, 1, 4))),
    an_instrument("BILL", Bill(USD, date(2027, 3, 1))),
    an_instrument("BOND", BOND),
    an_instrument(
        "BTC-FUT-PUT",
        EuropeanOption(BTC, USD, Decimal("0.1"), OptionRight.PUT, Decimal(90_000), EXPIRY, PremiumStyle.MARGINED, EXPIRY),
    ),
    an_instrument("BTC-AMERICAN", AmericanOption(BTC, USD, Decimal(1), OptionRight.PUT, Decimal("6.5E+4"), EXPIRY)),
    an_instrument("EUR-CALL", FxOption(EUR, USD, OptionRight.CALL, Decimal("1.125"), EXPIRY)),
    an_instrument("EUR-NDF", NonDeliverableForward(EUR, USD, USD, Decimal("1.0825"), date(2026, 12, 30), date(2027, 1, 4))),
    an_instrument(
        "FRN",
        FloatingRateNote(
            USD,
            Decimal("-0.0025"),
            Decimal("0.0431"),
            date(2026, 2, 16),
            4,
            DayCount.ACT_360,
            BusinessDayRule.MODIFIED_FOLLOWING,
            date(2024, 2, 15),
            date(2029, 2, 15),
            calendar=HolidayCalendar.US_GOVERNMENT_BONDS,
        ),
    ),
    an_instrument(
        "SWAP",
        InterestRateSwap(
            USD,
            Decimal("0.0375"),
            1,
            DayCount.THIRTY_360,
            BusinessDayRule.UNADJUSTED,
            date(2025, 6, 1),
            date(2035, 6, 1),
            Decimal("0.031"),
            date(2026, 3, 1),
        ),
    ),
    an_instrument("BOND-FUT", BondFuture(USD, Decimal(1000), date(2026, 6, 30), Decimal("0.8125"), BOND)),
    an_instrument(
        "BESPOKE",
        CashFlows(USD, (CashFlow(EUR, Decimal("-5.50"), date(2026, 9, 1)), CashFlow(USD, Decimal(6), date(2027, 9, 1)))),
    ),
]


def test_every_kind_is_stored_here():
    assert {type(instrument.terms) for instrument in OF_EVERY_KIND} == set(get_args(Terms))


async def test_every_kind_of_instrument_comes_back_as_stored(storage):
    await storage.create(*OF_EVERY_KIND)
    names = [instrument.instrument_id for instrument in OF_EVERY_KIND]
    assert await storage.instruments.get_instruments([*names, EUR]) == dict(zip(names, OF_EVERY_KIND, strict=True))
    assert await storage.instruments.get_instruments([]) == {}


async def test_instruments_are_listed_in_order_page_by_page(storage):
    await storage.create(*OF_EVERY_KIND)
    in_order = sorted(OF_EVERY_KIND, key=lambda instrument: instrument.instrument_id)
    assert list(await storage.instruments.list_instruments(Page(100))) == in_order
    assert list(await storage.instruments.list_instruments(Page(3))) == in_order[:3]
    assert list(await storage.instruments.list_instruments(Page(3, after=in_order[2].instrument_id))) == in_order[3:6]


async def test_the_version_grows_with_every_instrument_and_with_nothing_else(storage):
    versions = [await storage.instruments.instruments_version()]
    for instrument in OF_EVERY_KIND[:2]:
        await storage.create(instrument)
        versions.append(await storage.instruments.instruments_version())
    assert versions[0] < versions[1] < versions[2]
    await storage.create(*OF_EVERY_KIND[:2])
    await storage.create(put_in_force(risk_parameters(), "crossmargin", AS_OF))
    assert await storage.instruments.instruments_version() == versions[2]
