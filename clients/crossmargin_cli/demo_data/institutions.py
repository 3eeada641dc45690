"""The institutions of the demo: each is there to show one thing that margin does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_cli.demo_data.market import COINS, FUTURE_EXPIRY, future_price, option_price
from crossmargin_client import (
    CALL,
    PUT,
    account_name,
    bill,
    cash,
    crypto_asset,
    dated_future,
    european_option,
    fixed_rate_bond,
    fx_forward,
    perpetual,
    stablecoin,
)

FORWARD_DELIVERY: Final = date(2027, 2, 19)


@dataclass(frozen=True, slots=True)
class DemoTrade:
    """A trade of the demo: price as the instrument quotes, paid in dollars where an asset is traded."""

    instrument_id: str
    quantity: str
    price: Decimal | str
    settlement: str = ""
    book: str = "main"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account with what its client brought and did.

    Attributes:
        story: What it holds.
        lesson: What that shows.
        deposits: Quantity of each asset received.
        parent: Id of the cross account that an isolated one belongs to.
        pledged: Assets that count outside the scenarios.
    """

    account_id: str
    display_name: str
    story: str
    lesson: str
    deposits: Mapping[str, str]
    trades: tuple[DemoTrade, ...]
    parent: str = ""
    pledged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Institution:
    """A client of the demo."""

    client_id: str
    display_name: str
    accounts: tuple[DemoAccount, ...]

    def name_of(self, account_id: str) -> str:
        """Return the resource name of one of its accounts."""
        return account_name(self.client_id, account_id)


def instruments() -> tuple[reference_service_pb2.Instrument, ...]:
    """Return every instrument of the demo, those that others settle in first."""
    return (
        cash("USD", collateral_class="USD"),
        cash("EUR", collateral_class="G10_CASH"),
        cash("JPY", places=0, collateral_class="G10_CASH"),
        stablecoin("RLUSD", pegged_to="USD", issuer="Ripple", collateral_class="REGULATED_STABLECOIN"),
        stablecoin("USDC", pegged_to="USD", issuer="Circle", collateral_class="REGULATED_STABLECOIN"),
        crypto_asset("BTC", collateral_class="BTC"),
        crypto_asset("ETH", collateral_class="ETH"),
        crypto_asset("SOL", collateral_class="LARGE_ALT"),
        crypto_asset("XRP", places=6, collateral_class="LARGE_ALT"),
        *(perpetual(f"{coin}-USD-PERP", underlying=coin, settlement="USD") for coin in COINS),
        dated_future("BTC-26MAR27", underlying="BTC", settlement="USD", expires_at=FUTURE_EXPIRY),
        *(
            european_option(name, underlying="BTC", settlement=settlement, right=right, strike=strike, expires_at=FUTURE_EXPIRY)
            for name, (settlement, right, strike) in _OPTIONS.items()
        ),
        fx_forward("EUR-USD-19FEB27", bought="EUR", sold="USD", contract_rate="1.0900", delivers_on=FORWARD_DELIVERY),
        fx_forward("USD-JPY-19FEB27", bought="USD", sold="JPY", contract_rate="149.35", delivers_on=FORWARD_DELIVERY),
        bill("UST-BILL-2027-05-20", settlement="USD", matures_on=date(2027, 5, 20), collateral_class="BILL"),
        fixed_rate_bond(
            "UST-4.125-2036-11-15",
            settlement="USD",
            coupon_rate="0.04125",
            coupons_per_year=2,
            issued_on=date(2026, 11, 15),
            matures_on=date(2036, 11, 15),
            collateral_class="TREASURY",
        ),
    )


_OPTIONS: Final = {
    "BTC-26MAR27-80000-P": ("BTC", PUT, 80_000),
    "BTC-26MAR27-100000-C": ("BTC", CALL, 100_000),
    "BTC-26MAR27-120000-C": ("BTC", CALL, 120_000),
    "BTC-USD-26MAR27-90000-P": ("USD", PUT, 90_000),
    "BTC-USD-26MAR27-110000-C": ("USD", CALL, 110_000),
}
"""What each option settles in, its right and its strike. Those that settle in BTC are quoted in coins."""


def _future(quantity: str) -> DemoTrade:
    return DemoTrade("BTC-26MAR27", quantity, future_price(COINS["BTC"][0] * 1.0012), book="basis")


def _option(instrument_id: str, quantity: str) -> DemoTrade:
    settlement, right, strike = _OPTIONS[instrument_id]
    dollars = option_price("BTC", strike=strike, is_call=right == CALL)
    price = f"{dollars:.1f}" if settlement == "USD" else f"{dollars / COINS['BTC'][0]:.4f}"
    return DemoTrade(instrument_id, quantity, price, book="volatility")


INSTITUTIONS: Final = (
    Institution(
        "meridian-basis",
        "Meridian Basis Partners",
        (
            DemoAccount(
                "core",
                "Cash and carry",
                story="Long 400 BTC, short 400 BTC of the March future: financed with dollars, backed by USD and RLUSD.",
                lesson="What the coins lose the future gains. Only the carry between them is at risk, and only that is margined.",
                deposits={"USD": "6500000", "RLUSD": "2500000"},
                trades=(DemoTrade("BTC", "400", "91450", "USD", book="basis"), _future("-400")),
            ),
        ),
    ),
    Institution(
        "parallax-pairs",
        "Parallax Relative Value",
        (
            DemoAccount(
                "core",
                "Pairs",
                story="Long 6,000 ETH against 200 BTC, both as perpetuals: a view on the ratio and not on the market.",
                lesson="Coins fall together but have parted ways before: 80% of what they offset is recognised.",
                deposits={"USD": "10000000"},
                trades=(
                    DemoTrade("ETH-USD-PERP", "6000", "3052", book="pairs"),
                    DemoTrade("BTC-USD-PERP", "-200", "91600", book="pairs"),
                ),
            ),
        ),
    ),
    Institution(
        "harbour-macro",
        "Harbour Global Macro",
        (
            DemoAccount(
                "core",
                "Global macro",
                story="Long EUR, short JPY, a ten-year Treasury and 60 BTC, all financed; backed by pledged T-bills and RLUSD.",
                lesson="Currencies, rates and coins rarely have their worst days together: half of that is recognised.",
                deposits={"UST-BILL-2027-05-20": "6000000", "RLUSD": "2000000"},
                trades=(
                    DemoTrade("EUR-USD-19FEB27", "25000000", "0", book="currencies"),
                    DemoTrade("USD-JPY-19FEB27", "20000000", "0", book="currencies"),
                    DemoTrade("UST-4.125-2036-11-15", "30000000", "99.90", book="rates"),
                    DemoTrade("BTC", "60", "91300", "USD", book="digital"),
                ),
                pledged=("UST-BILL-2027-05-20", "RLUSD"),
            ),
        ),
    ),
    Institution(
        "lattice-vol",
        "Lattice Volatility",
        (
            DemoAccount(
                "core",
                "Options market making",
                story="Calls and puts on BTC bought and sold, settled in coins and in dollars, hedged with a perpetual.",
                lesson="Every option is repriced in every scenario, so strikes, styles and the hedge offset as one book.",
                deposits={"USD": "1260000", "BTC": "20"},
                trades=(
                    _option("BTC-26MAR27-100000-C", "250"),
                    _option("BTC-26MAR27-120000-C", "-300"),
                    _option("BTC-26MAR27-80000-P", "150"),
                    _option("BTC-USD-26MAR27-110000-C", "-120"),
                    _option("BTC-USD-26MAR27-90000-P", "-100"),
                    DemoTrade("BTC-USD-PERP", "-20", "91480", book="hedge"),
                ),
            ),
        ),
    ),
    Institution(
        "summit-directional",
        "Summit Directional",
        (
            DemoAccount(
                "core",
                "Long digital assets",
                story="Long BTC, ETH, SOL and XRP: one view, four times.",
                lesson="Coins that fall together offset nothing, and margining them together gives nothing away.",
                deposits={"USD": "6350000"},
                trades=(
                    DemoTrade("BTC", "60", "91200", "USD"),
                    DemoTrade("ETH-USD-PERP", "1500", "3040"),
                    DemoTrade("SOL-USD-PERP", "25000", "141.2"),
                    DemoTrade("XRP-USD-PERP", "1500000", "2.12"),
                ),
            ),
            DemoAccount(
                "satellite",
                "AVAX, isolated",
                story="Long AVAX, walled off from the core account with collateral of its own.",
                lesson="The bet is called on its own, cannot lose more than it was given, and leaves the core account as it is.",
                deposits={"USD": "736500"},
                trades=(DemoTrade("AVAX-USD-PERP", "120000", "14.9"),),
                parent="core",
            ),
        ),
    ),
)
