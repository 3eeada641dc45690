"""Golden portfolios: what a desk holds, under the name of why it holds it. `python -m tests.golden` writes what each needs.

Holdings are quantities, or (quantity, cost) of a margined contract. Everything is risked unless it is pledged or left to AUTO.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Held: TypeAlias = Mapping[str, float | tuple[float, float]]


@dataclass(frozen=True)
class Golden:
    """One portfolio.

    Attributes:
        name: What it is. intent: What its figures are to show.
        pledged: Holdings outside the scenarios. auto: One left to policy AUTO. is_isolated: Margined as a bucket of its own.
        levels: Of risk factors that differ from the market's. marks: Quoted prices. changes: Of the parameters; of rows of the haircut
            schedule under `haircuts`.
        pegs: Of stablecoins the slow price, and how many hours ago the depeg began and the price came back, None for neither.
        house: Units in all accounts: `held` by all clients, `owned` by the owner's cross accounts and `owned_isolated` by his buckets.
    """

    name: str
    intent: str
    held: Held
    pledged: tuple[str, ...] = ()
    auto: tuple[str, ...] = ()
    is_isolated: bool = False
    levels: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    pegs: Mapping[str, tuple[str, float | None, float | None]] = field(default_factory=dict)
    house: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def _charges(**parts: Any) -> Mapping[str, Any]:
    return {"charges": parts}


def _row(name: str, **limits: str) -> Mapping[str, Any]:
    return {"haircuts": {name: limits}}


def _ripple(limit: str | None) -> Mapping[str, Any]:
    moves = {"spot:XRP": "-0.5", "spot:RLUSD": "-0.12", "spread:RIPPLE:1Y": "0.1"}
    return _charges(issuers=[{"issuer_id": "RIPPLE", "is_own_issue": False, "moves": moves, "collateral_limit": limit}])


DEPEG = {"mild_price": "0.99", "haircut_slope": "4", "ineligible_price": "0.95", "longest_hours": "72", "recovery_hours": "24"}
SLOW: Mapping[str, tuple[str, float | None, float | None]] = {"USDC": ("0.97", None, None)}
WELL: Mapping[str, tuple[str, float | None, float | None]] = {"USDC": ("1", None, None)}
RICH = {"spot:USDC": "1.03"}
OFF = {"spot:USDC": "0.985"}
SUPPLY = {"circulating_supply": [{"curve": "spot:RLUSD", "units": "5000000"}, {"curve": "spot:USDC", "units": "5000000"}]}


def _off(hours: float) -> Mapping[str, tuple[str, float | None, float | None]]:
    return {"USDC": ("0.985", hours, None)}


STABLE_ROW = {"up_to": None, "charge_fraction": "0.02"}
GOLDENS: tuple[Golden, ...] = (
    # Nothing, and money
    Golden("nothing", "an account without holdings needs and has nothing", {}),
    Golden("dollars", "base currency needs no margin", {"USD": 1_000_000}),
    Golden("dollars owed", "a debt without risk is a deficit and no utilization", {"USD": -1_000}),
    Golden("euros risked", "foreign money moves with its rate", {"EUR": 500_000}),
    Golden("euros pledged", "out of the scenarios, at the mismatch haircut", {"EUR": 500_000}, pledged=("EUR",)),
    Golden("carry of yen into dollars", "a debt in another currency is a risk", {"USD": 800_000, "JPY": -100_000_000}),
    Golden("euro against yen", "two currencies of one class offset in part", {"EUR": 500_000, "JPY": -80_000_000, "USD": 200_000}),
    # Coins
    Golden("bitcoin held", "a long needs its fall", {"BTC": 20}),
    Golden("bitcoin pledged", "outside the scenarios a long needs nothing", {"BTC": 20}, pledged=("BTC",)),
    Golden("bitcoin owed", "a short needs its rise", {"BTC": -10, "USD": 900_000}),
    Golden("bitcoin beyond the tiers", "above the last tier nothing counts", {"BTC": 150}, pledged=("BTC",)),
    Golden("four coins and no dollar", "one view, several times", {"BTC": 10, "ETH": 150, "XRP": 200_000}),
    Golden("pairs trade", "bitcoin against ether", {"BTC": 10, "ETH": -200, "USD": 400_000}),
    Golden(
        "pairs trade of perpetuals", "the same without money", {"BTC-PERP": (10, 600_000), "ETH-PERP": (-200, -600_000), "USD": 200_000}
    ),
    Golden("ripple over its limit", "what is over the absolute limit counts zero", {"XRP": 1_500_000, "USD": 100_000}, pledged=("XRP",)),
    Golden("perpetual bought", "a contract needs its fall and costs nothing", {"BTC-PERP": (10, 600_000), "USD": 300_000}),
    Golden("perpetual in profit", "mark over cost is equity", {"BTC-PERP": (10, 500_000), "USD": 250_000}),
    Golden("perpetual under water", "cost over mark is a loss that has happened", {"BTC-PERP": (10, 700_000), "USD": 450_000}),
    # Basis
    Golden("basis trade", "coins against the dated future: only the carry is at risk", {"BTC": 20, "BTC-FAR": (-20, -1_250_000)}),
    Golden(
        "basis trade with perpetuals", "no factor moves the basis, so a charge stands for it", {"BTC": 20, "BTC-PERP": (-20, -1_200_000)}
    ),
    Golden("basis trade half done", "half of the coins is a view", {"BTC": 20, "BTC-FAR": (-10, -625_000)}),
    Golden("reverse basis trade", "coins owed against the future", {"BTC": -20, "BTC-FAR": (20, 1_245_000), "USD": 1_500_000}),
    Golden(
        "calendar spread",
        "near against far: the slope of the carry",
        {"BTC-NEAR": (20, 1_205_000), "BTC-FAR": (-20, -1_248_000), "USD": 150_000},
    ),
    Golden(
        "calendar butterfly",
        "the curvature of the carry",
        {"BTC-NEAR": (10, 602_500), "BTC-FAR": (10, 624_400), "BTC-PERP": (-20, -1_200_000), "USD": 80_000},
    ),
    Golden("inverse hedge", "coins that pay the hedge of themselves", {"BTC": 20, "BTC-INVERSE": (-12_000, 20)}),
    Golden("inverse bought", "a contract settled in what it is on", {"BTC": 10, "BTC-INVERSE": (2_000, -3.4)}),
    # Options
    Golden("call bought", "nothing but the premium can be lost", {"BTC-CALL60": 10}),
    Golden("call sold", "naked", {"BTC-CALL60": -10, "USD": 400_000}),
    Golden("covered call", "the coin covers what the call takes", {"BTC": 10, "BTC-CALL60": -10}),
    Golden("protective put", "the put is a floor", {"BTC": 10, "BTC-PUT50": 10}),
    Golden("collar", "floor and ceiling", {"BTC": 10, "BTC-PUT50": 10, "BTC-CALL70": -10}),
    Golden("conversion", "coin, put and short call of one strike are a bond", {"BTC": 10, "BTC-PUT60": 10, "BTC-CALL60": -10}),
    Golden("reversal", "the conversion the other way round", {"BTC": -10, "BTC-PUT60": -10, "BTC-CALL60": 10, "USD": 700_000}),
    Golden("box", "two strikes and no direction: a loan", {"BTC-CALL50": 10, "BTC-PUT50": -10, "BTC-CALL70": -10, "BTC-PUT70": 10}),
    Golden("call spread", "the loss has a bottom", {"BTC-CALL60": 10, "BTC-CALL70": -10}),
    Golden("call spread sold", "the loss has a top", {"BTC-CALL60": -10, "BTC-CALL70": 10, "USD": 150_000}),
    Golden("ratio spread", "one bought, two sold: open above", {"BTC-CALL60": 10, "BTC-CALL70": -20, "USD": 200_000}),
    Golden("risk reversal", "call bought with a put sold", {"BTC-CALL70": 10, "BTC-PUT50": -10, "USD": 200_000}),
    Golden("straddle bought", "loses when nothing happens", {"BTC-CALL60": 10, "BTC-PUT60": 10}),
    Golden("straddle sold", "short volatility", {"BTC-CALL60": -10, "BTC-PUT60": -10, "USD": 500_000}),
    Golden("short strangle", "both wings open", {"BTC-CALL70": -10, "BTC-PUT50": -10, "USD": 400_000}),
    Golden(
        "short strangle at expiry",
        "six hours, and either wing may still be reached",
        {"BTC-CALL62-NEAR": -10, "BTC-PUT58-NEAR": -10, "USD": 400_000},
    ),
    Golden("short straddle at expiry", "six hours of gamma", {"BTC-CALL60-NEAR": -10, "BTC-PUT60-NEAR": -10, "USD": 400_000}),
    Golden("far calls sold", "what loses in no tail needs a minimum all the same", {"BTC-CALL120": -50, "BTC": 50}),
    Golden("coin-settled call covered", "paid in the coin that covers it", {"BTC": 10, "BTC-C60-COIN": -10}),
    Golden("margined call sold", "its premium is settled as it moves", {"BTC-C60-MARGINED": (-10, -75_000), "USD": 400_000}),
    Golden("american put sold", "may be exercised on any day", {"ETH-P3000-AM": -100, "USD": 150_000}),
    Golden(
        "option market maker",
        "long and short strikes, hedged with the perpetual",
        {"BTC-CALL60": -20, "BTC-CALL70": 15, "BTC-PUT50": 10, "BTC-PERP": (8, 480_000), "USD": 600_000},
    ),
    # Currencies
    Golden("euro forward", "a forward is two payments", {"EURUSD-6M": 1_000_000, "USD": 150_000}),
    Golden(
        "euro forward hedged by euros owed",
        "bills, cash and forward are one",
        {"EURUSD-6M": 1_000_000, "EUR": -1_000_000, "USD": 1_300_000},
    ),
    Golden(
        "non-deliverable against deliverable", "one risk, two contracts", {"EURUSD-6M": 1_000_000, "EURUSD-NDF": -1_000_000, "USD": 10_000}
    ),
    Golden("carry of currencies", "long the high rate, short the low", {"EURUSD-6M": 1_000_000, "JPYUSD-6M": -160_000_000, "USD": 250_000}),
    Golden("euro risk reversal", "skew of a pair", {"EUR-CALL110": 2_000_000, "EUR-PUT110": -2_000_000, "USD": 300_000}),
    Golden("bespoke payments", "known flows in two currencies", {"BESPOKE": 10, "USD": 250_000}),
    # Rates and credit
    Golden("ten-year note financed", "bought with borrowed dollars", {"UST-10Y": 5_000_000, "USD": -4_700_000}),
    Golden(
        "ten-year note pledged", "collateral that stays outside", {"UST-10Y": 1_000_000, "BTC-PERP": (5, 300_000)}, pledged=("UST-10Y",)
    ),
    Golden("bill as collateral", "short paper takes a small haircut", {"BILL-6M": 500_000, "BTC-PERP": (5, 300_000)}, pledged=("BILL-6M",)),
    Golden(
        "curve steepener", "two-year bought, ten-year sold, level hedged", {"UST-2Y": 20_000_000, "UST-10Y": -4_600_000, "USD": -15_000_000}
    ),
    Golden(
        "curve flattener by swaps", "the same with swaps, the other way", {"SWAP-2Y": 20_000_000, "SWAP-10Y": -4_600_000, "USD": 500_000}
    ),
    Golden("swap against bond", "a payer swap hedges the note", {"UST-10Y": 5_000_000, "SWAP-10Y": 5_000_000, "USD": -4_800_000}),
    Golden("bond basis", "note against the future that delivers it", {"UST-10Y": 1_000_000, "TY-FUTURE": (-8, -944_000), "USD": -850_000}),
    Golden("barbell", "wings against the belly", {"UST-2Y": 5_000_000, "UST-30Y": 1_000_000, "UST-10Y": -3_500_000, "USD": -2_000_000}),
    Golden("floating note", "hardly any rate risk", {"FRN-5Y": 2_000_000, "USD": -1_900_000}),
    Golden("corporate bond", "rates and credit", {"ACME-10Y": 2_000_000, "USD": -1_600_000}),
    Golden("corporate bond hedged by treasuries", "the credit is left", {"ACME-10Y": 2_000_000, "UST-10Y": -2_000_000, "USD": 400_000}),
    # Stablecoins and issuers
    Golden("stablecoin alone", "a share limit of the whole leaves nothing to count", {"RLUSD": 500_000}),
    Golden("stablecoin beside dollars", "over 40% of what counts", {"RLUSD": 900_000, "USD": 600_000}),
    Golden("stablecoins against each other", "a twin is no hedge", {"USDC": 1_000_000, "RLUSD": -1_000_000, "USD": 700_000}),
    Golden("RLUSD with XRP", "one issuer behind both", {"RLUSD": 400_000, "XRP": 300_000, "USD": 800_000}),
    Golden(
        "RLUSD with XRP sold short", "the short pays for the coin", {"RLUSD": 400_000, "XRP-PERP": (-100_000, -200_000), "USD": 800_000}
    ),
    Golden("Ripple paper with RLUSD", "the issuer's debt falls with its coin", {"RIPPLE-NOTE": 500_000, "RLUSD": 200_000, "USD": 400_000}),
    Golden(
        "RLUSD pledged for bitcoin",
        "RLUSD carries a leveraged long",
        {"RLUSD": 300_000, "USD": 500_000, "BTC-PERP": (10, 600_000)},
        pledged=("RLUSD",),
    ),
    Golden("mild depeg", "a slipping coin stops new risk only", {"USDC": 300_000, "USD": 700_000}, levels={"spot:USDC": "0.97"}),
    Golden("lost peg", "below 0.95 no collateral at all", {"USDC": 300_000, "USD": 700_000}, levels={"spot:USDC": "0.94"}),
    # Slow prices and clocks
    Golden("slow price below the price", "a coin that bounced counts at what is believed", {"USDC": 300_000, "USD": 700_000}, pegs=SLOW),
    Golden(
        "slow price above the price",
        "below its slow price a coin counts at its price",
        {"USDC": 300_000, "USD": 700_000},
        levels={"spot:USDC": "0.96"},
        pegs={"USDC": ("0.985", 1, None)},
    ),
    Golden("coin above a dollar", "a squeeze is not believed at once", {"USDC": 300_000, "USD": 700_000}, levels=RICH, pegs=WELL),
    Golden("slow coin pledged", "outside the scenarios at its slow price", {"USDC": 300_000, "USD": 700_000}, pledged=("USDC",), pegs=SLOW),
    Golden("slow price below the line", "a bounce makes no collateral", {"USDC": 300_000, "USD": 700_000}, pegs={"USDC": ("0.93", 30, 2)}),
    Golden("slow coin owed", "a debt is owed at the price", {"USDC": -300_000, "USD": 700_000}, pegs=SLOW),
    Golden("coin above a dollar owed", "at the price, not at the slow price", {"USDC": -300_000, "USD": 700_000}, levels=RICH, pegs=WELL),
    Golden("slow twins", "one coin is believed less than the other", {"USDC": 1_000_000, "RLUSD": -1_000_000, "USD": 700_000}, pegs=SLOW),
    Golden(
        "perpetual in profit in a slow coin",
        "what a contract has gained in the coin counts as the coin does",
        {"BTC-PERP-USDC": (10, 500_000), "USD": 300_000},
        pegs=SLOW,
    ),
    Golden(
        "perpetual under water in a slow coin",
        "what it has lost is owed at the price",
        {"BTC-PERP-USDC": (10, 650_000), "USD": 500_000},
        pegs=SLOW,
    ),
    Golden(
        "slow coin against a perpetual in it",
        "collateral and contract in one coin that is believed slowly",
        {"USDC": 400_000, "BTC-PERP-USDC": (-6, -360_000), "USD": 300_000},
        pegs=SLOW,
    ),
    Golden(
        "depeg at its seventy-second hour", "a clock that has not run out", {"USDC": 300_000, "USD": 700_000}, levels=OFF, pegs=_off(72)
    ),
    Golden(
        "depeg whose clock has run out",
        "after three days off its peg no collateral",
        {"USDC": 300_000, "USD": 700_000},
        levels=OFF,
        pegs=_off(73),
    ),
    Golden(
        "depeg whose clock has run out on a debt", "what is owed stays owed", {"USDC": -300_000, "USD": 700_000}, levels=OFF, pegs=_off(73)
    ),
    Golden(
        "recovery in time",
        "a coin that is back is not thrown out while its clock stands still",
        {"USDC": 300_000, "USD": 700_000},
        pegs={"USDC": ("0.992", 80, 10)},
    ),
    Golden(
        "recovery too late",
        "a coin that was thrown out stays out until the depeg is over",
        {"USDC": 300_000, "USD": 700_000},
        pegs={"USDC": ("0.992", 90, 10)},
    ),
    Golden(
        "depeg without a clock",
        "a set may let it last",
        {"USDC": 300_000, "USD": 700_000},
        levels=OFF,
        pegs=_off(1000),
        changes=_charges(depeg=DEPEG | {"longest_hours": None}),
    ),
    Golden(
        "depeg that may not last",
        "a set may throw it out at once",
        {"USDC": 300_000, "USD": 700_000},
        levels=OFF,
        pegs=_off(0.001),
        changes=_charges(depeg=DEPEG | {"longest_hours": "0"}),
    ),
    # Policy AUTO
    Golden(
        "coins hedged in part, split", "what hedges is risked, the rest is pledged", {"BTC": 20, "BTC-PERP": (-12, -720_000)}, auto=("BTC",)
    ),
    Golden("coins unhedged, pledged", "without a hedge the haircut is cheaper than the risk", {"BTC": 20, "USD": 50_000}, auto=("BTC",)),
    Golden("coins hedged in full, risked", "all of it hedges", {"BTC": 20, "BTC-PERP": (-20, -1_200_000)}, auto=("BTC",)),
    Golden(
        "coins beyond the tiers, split",
        "what would count nothing pledged is risked",
        {"BTC": 150, "BTC-PERP": (-20, -1_200_000)},
        auto=("BTC",),
    ),
    Golden(
        "coins hedged by ether, all risked", "what another coin hedges is risked", {"BTC": 20, "ETH-PERP": (-250, -750_000)}, auto=("BTC",)
    ),
    Golden(
        "coins of a bucket, all risked",
        "inside a bucket everything offsets, and it chooses for itself",
        {"BTC": 12, "ETH-PERP": (-150, -450_000)},
        auto=("BTC",),
        is_isolated=True,
    ),
    Golden("slow coin left to AUTO", "both ways at its slow price", {"USDC": 300_000, "USD": 700_000}, auto=("USDC",), pegs=SLOW),
    # Bitcoin as collateral
    Golden(
        "bitcoin pledged for a long perpetual", "collateral outside, risk inside", {"BTC": 20, "BTC-PERP": (5, 300_000)}, pledged=("BTC",)
    ),
    Golden("bitcoin risked for a long perpetual", "collateral and position fall together", {"BTC": 20, "BTC-PERP": (5, 300_000)}),
    Golden(
        "bitcoin pledged for a short perpetual", "what is pledged hedges nothing", {"BTC": 20, "BTC-PERP": (-5, -300_000)}, pledged=("BTC",)
    ),
    Golden("bitcoin risked for a short perpetual", "the collateral is the hedge", {"BTC": 20, "BTC-PERP": (-5, -300_000)}),
    # Limits that are not the account's alone
    Golden(
        "house-wide soft cap",
        "all clients hold ten times what may count: a tenth does",
        {"RLUSD": 200_000, "USD": 800_000},
        house={"held": {"RLUSD": 10_000_000}},
        changes=_row("STABLE", house_limit="1000000"),
    ),
    Golden(
        "house-wide share of the supply",
        "a tenth of the coins there are, for all clients together",
        {"RLUSD": 200_000, "USD": 800_000},
        pledged=("RLUSD",),
        house={"held": {"RLUSD": 4_000_000}},
        changes=_row("STABLE", house_supply_fraction="0.1") | SUPPLY,
    ),
    Golden(
        "share of the supply",
        "one per cent of the coins there are",
        {"RLUSD": 200_000, "USD": 800_000},
        changes=_row("STABLE", supply_limit_fraction="0.01") | SUPPLY,
    ),
    Golden(
        "slow coin over a share of the supply",
        "units are limited, whatever they count at",
        {"USDC": 200_000, "USD": 800_000},
        pegs=SLOW,
        changes=_row("STABLE", supply_limit_fraction="0.01") | SUPPLY,
    ),
    Golden(
        "share of a day's trading",
        "more than can be sold does not count",
        {"ETH": 500, "USD": 100_000},
        pledged=("ETH",),
        changes=_row("ETH", volume_limit_fraction="0.0001"),
    ),
    Golden(
        "issuer limit", "all of one issuer up to a limit", {"RLUSD": 400_000, "XRP": 300_000, "USD": 2_000_000}, changes=_ripple("500000")
    ),
    Golden(
        "issuer limit of nothing", "none of an issuer counts", {"RLUSD": 400_000, "XRP": 300_000, "USD": 2_000_000}, changes=_ripple("0")
    ),
    Golden(
        "issuer limit shared with another account",
        "the limit is the owner's",
        {"RLUSD": 400_000, "XRP": 300_000, "USD": 2_000_000},
        house={"owned": {"RLUSD": 400_000, "XRP": 800_000}},
        changes=_ripple("800000"),
    ),
    Golden(
        "issuer limit shared by a slow coin",
        "what the owner holds elsewhere counts at the slow price too",
        {"RLUSD": 400_000, "XRP": 300_000, "USD": 2_000_000},
        house={"owned": {"RLUSD": 800_000, "XRP": 300_000}},
        pegs={"RLUSD": ("0.97", None, None)},
        changes=_ripple("500000"),
    ),
    Golden(
        "tiers shared with another account",
        "an owner's coins fill one set of tiers",
        {"BTC": 60},
        pledged=("BTC",),
        house={"owned": {"BTC": 150}},
    ),
    Golden(
        "bucket behind its core",
        "a bucket has what the core leaves of the tiers",
        {"BTC": 60},
        pledged=("BTC",),
        is_isolated=True,
        house={"owned": {"BTC": 70}, "owned_isolated": {"BTC": 90}},
    ),
    # Oil and equity
    Golden("oil bought", "loses more than its price", {"OIL-NEAR": (10, 680_000), "USD": 1_500_000}),
    Golden(
        "gap through zero price",
        "already below zero, and no floor there",
        {"OIL-NEAR": (10, -300_000), "USD": 1_800_000},
        levels={"price:WTI:1M": "-37.63"},
    ),
    Golden("oil calendar spread", "barrel for barrel", {"OIL-NEAR": (10, 680_000), "OIL-FAR": (-10, -660_000), "USD": 1_200_000}),
    Golden("index future", "a dated future without a carry curve", {"SPX-FUTURE": (4, 1_008_000), "USD": 250_000}),
    # Across classes
    Golden(
        "everything at once",
        "coins, rates, currency, oil",
        {"BTC": 5, "UST-10Y": 1_000_000, "EUR": 200_000, "OIL-FAR": (2, 132_000), "SPX-FUTURE": (1, 252_000), "USD": 100_000},
    ),
    Golden("bitcoin hedged with equities", "half of what classes offset counts", {"BTC": 5, "SPX-FUTURE": (-1, -252_000), "USD": 100_000}),
    # Buckets
    Golden("bucket of one perpetual", "own collateral, own loss", {"BTC-PERP": (5, 300_000), "USD": 170_000}, is_isolated=True),
    Golden(
        "bucket of a pair",
        "inside a bucket everything offsets",
        {"BTC-PERP": (10, 600_000), "ETH-PERP": (-200, -600_000), "USD": 200_000},
        is_isolated=True,
    ),
    # Bands
    Golden("band healthy", "far from the line", {"BTC-PERP": (10, 600_000), "USD": 1_000_000}),
    Golden("band watch", "two thirds used", {"BTC-PERP": (10, 600_000), "USD": 178_000}),
    Golden("band at risk", "three quarters used", {"BTC-PERP": (10, 600_000), "USD": 154_000}),
    Golden("band margin call", "equity below initial margin", {"BTC-PERP": (10, 600_000), "USD": 128_500}),
    Golden("band liquidation", "equity below maintenance", {"BTC-PERP": (10, 600_000), "USD": 110_000}),
    Golden("no equity and risk", "utilization without end", {"BTC-PERP": (10, 600_000), "USD": -5_000}),
    # One for each charge and end of its parameters
    Golden("large position", "the close-out stretches over days", {"BTC": 500_000}, changes=_charges(liquidity={"base_days": "0.3"})),
    Golden(
        "large position sold at once", "no waiting before the close-out", {"BTC": 500_000}, changes=_charges(liquidity={"base_days": "0"})
    ),
    Golden(
        "large position in a thin market",
        "a hundredth of the volume may be sold",
        {"BTC": 2_000},
        changes=_charges(liquidity={"participation_fraction": "0.01"}),
    ),
    Golden("wide spread", "half the spread, ten times", {"BTC": 20}, changes=_charges(liquidity={"spread_multiple": "10"})),
    Golden(
        "no spread",
        "closing out costs nothing",
        {"BTC": 20},
        changes=_charges(
            liquidity={"spread_multiple": "0"},
            rows={"BTC": {"spread_fraction": "0", "average_daily_volume": "1e18", "minimum_rate_fraction": "0"}},
        ),
    ),
    Golden(
        "basis trade without basis charge",
        "perpetuals taken for spot",
        {"BTC": 20, "BTC-PERP": (-20, -1_200_000)},
        changes=_charges(basis={"perpetual_fraction": "0", "dated_fraction": "0", "stablecoin_tiers": [STABLE_ROW]}),
    ),
    Golden(
        "own issue",
        "the operator's own coin is no collateral",
        {"RLUSD": 300_000, "USD": 700_000},
        changes=_charges(issuers=[{"issuer_id": "RIPPLE", "is_own_issue": True, "moves": {"spot:RLUSD": "-0.12"}}]),
    ),
    Golden(
        "far calls sold without a minimum",
        "what loses in no tail needs next to nothing",
        {"BTC-CALL120": -50, "BTC": 50},
        changes=_charges(short_option_fraction="0"),
    ),
    Golden(
        "far calls sold at their notional",
        "the largest minimum there can be",
        {"BTC-CALL120": -50, "BTC": 50},
        changes=_charges(short_option_fraction="1"),
    ),
    Golden(
        "stablecoins against each other beyond the first tier",
        "a twin is a worse hedge the more of it there is",
        {"USDC": 1_000_000, "RLUSD": -1_000_000, "USD": 700_000},
        changes=_charges(
            basis={"stablecoin_tiers": [{"up_to": "400000", "charge_fraction": "0.01"}, {"up_to": None, "charge_fraction": "1"}]}
        ),
    ),
    Golden(
        "index future at the full dated charge",
        "a future without a carry curve against another one",
        {"SPX-FUTURE": (4, 1_008_000), "USD": 250_000},
        changes=_charges(basis={"perpetual_fraction": "1", "dated_fraction": "1"}),
    ),
    Golden(
        "mild depeg without a slope",
        "a slipping coin stops nothing",
        {"USDC": 300_000, "USD": 700_000},
        levels=OFF,
        changes=_charges(depeg=DEPEG | {"haircut_slope": "0"}),
    ),
    Golden(
        "mild depeg at a steep slope",
        "a cent below the line and nothing new may be bought for it",
        {"USDC": 300_000, "USD": 700_000},
        levels=OFF,
        changes=_charges(depeg=DEPEG | {"haircut_slope": "1000"}),
    ),
    Golden(
        "low price where no peg is lost",
        "a set may keep whatever there is",
        {"USDC": 300_000, "USD": 700_000},
        levels={"spot:USDC": "0.5"},
        changes=_charges(depeg=DEPEG | {"ineligible_price": "0"}),
    ),
    Golden(
        "RLUSD with XRP and no issuer",
        "without an issuer group nothing is wrong-way",
        {"RLUSD": 400_000, "XRP": 300_000, "USD": 800_000},
        changes=_charges(issuers=[]),
    ),
    Golden(
        "hedged book under a minimum rate",
        "a group never needs less than a rate on its net",
        {"BTC": 20, "BTC-FAR": (-18, -1_123_000)},
        changes=_charges(
            rows={"BTC": {"spread_fraction": "0.0004", "average_daily_volume": "15000000000", "minimum_rate_fraction": "0.9"}}
        ),
    ),
    Golden(
        "schedule floor",
        "forwards under the standard schedule",
        {"EURUSD-6M": 1_000_000, "JPYUSD-6M": -150_000_000, "USD": 250_000},
        changes=_charges(
            schedule_floor={
                "floor_fraction": "1",
                "in_scope": ["FX_FORWARD"],
                "rates": {
                    name: [{"up_to_years": None, "rate_fraction": "0.06"}]
                    for name in ("CRYPTO", "FX", "FIXED_INCOME", "EQUITY_INDEX", "COMMODITY", "CREDIT")
                },
            }
        ),
    ),
    Golden(
        "schedule floor over every uncleared kind",
        "swaps, forwards, options and bespoke payments under the standard schedule",
        {
            "EURUSD-NDF": 1_000_000,
            "EUR-CALL110": 500_000,
            "SWAP-2Y": 3_000_000,
            "SWAP-10Y": -1_000_000,
            "ETH-P3000-AM": -20,
            "BESPOKE": 2,
            "USD": 400_000,
        },
        changes=_charges(
            schedule_floor={
                "floor_fraction": "1",
                "in_scope": [
                    *("AMERICAN_OPTION", "CASH_FLOWS", "FX_OPTION", "INTEREST_RATE_SWAP", "NON_DELIVERABLE_FORWARD"),
                ],
                "rates": {
                    name: [{"up_to_years": "2", "rate_fraction": "0.01"}, {"up_to_years": None, "rate_fraction": "0.06"}]
                    for name in ("CRYPTO", "FX", "FIXED_INCOME", "EQUITY_INDEX", "COMMODITY", "CREDIT")
                },
            }
        ),
    ),
    Golden(
        "no offsets recognised",
        "rho1 and rho2 zero: groups add up",
        {"BTC": 10, "ETH": -200, "EUR": 300_000, "USD": 400_000},
        changes={"offset_within_class": "0", "offset_across_classes": "0"},
    ),
    Golden(
        "all offsets recognised",
        "rho1 and rho2 one: the account as a whole",
        {"BTC": 10, "ETH": -200, "EUR": 300_000, "USD": 400_000},
        changes={"offset_within_class": "1", "offset_across_classes": "1"},
    ),
    Golden("thin tail", "the single worst scenario", {"BTC": 10, "ETH": -200, "USD": 400_000}, changes={"tail_fraction": "0.001"}),
    Golden("thick tail", "half of all scenarios", {"BTC": 10, "ETH": -200, "USD": 400_000}, changes={"tail_fraction": "0.5"}),
    Golden(
        "initial margin equal to maintenance",
        "a multiple of one",
        {"BTC-PERP": (10, 600_000), "USD": 300_000},
        changes={"initial_margin_multiple": "1"},
    ),
)
