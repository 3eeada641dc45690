"""Splitting a book over accounts of one owner gains nothing, whatever the book and however it is split."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.engine.house_view import house_view
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import a_haircut_row, a_portfolio
from tests.charge_books import a_market, issuers, parameters

D = Decimal
MARKET = a_market()
CONTRACTS = ["PERP", "FUTURE", "FUTURE-WITH-CARRY", "PERP-USDC"]
ACCOUNTS = [AccountRef(ClientId("alpha"), AccountId(name)) for name in ("first", "second", "third")]
BUCKETS = [AccountRef(ClientId("alpha"), AccountId(name)) for name in ("bucket", "bucket-2")]
ROWS = {name: {"spread_fraction": "0.004", "average_daily_volume": "5000"} for name in ("BTC", "XRP", "USDC", "RLUSD")}
TIERS = [{"up_to": "20000", "haircut_fraction": "0.2"}, {"up_to": "60000", "haircut_fraction": "0.3"}]
RULES = parameters(
    rows=ROWS,
    issuers=issuers(collateral_limit="1200"),
    beside={
        "haircut_schedule": [
            a_haircut_row("USD"),
            a_haircut_row("BTC", residual="0.02", bands=[{"up_to_years": None, "tiers": TIERS}], absolute_limit=40000),
            a_haircut_row("STABLE", residual="0.02", flat="0.02", supply_limit_fraction="0.01", house_limit=900),
            a_haircut_row("ALT", residual="0.05", flat="0.35", volume_limit_fraction="0.1"),
        ],
        "circulating_supply": [{"curve": f"spot:{name}", "units": "50000"} for name in ("RLUSD", "USDC")],
    },
)
CHARGED = parameters(
    rows={name: row | {"minimum_rate_fraction": "0.02"} for name, row in ROWS.items()},
    basis={
        "perpetual_fraction": "0.01",
        "dated_fraction": "0.015",
        "stablecoin_tiers": [{"up_to": "5000", "charge_fraction": "0.02"}, {"up_to": None, "charge_fraction": "0.03"}],
    },
    issuers=issuers(),
    short_option_fraction="0.01",
    beside={
        "offset_within_class": "0.8",
        "offset_across_classes": "0.5",
        "haircut_schedule": [a_haircut_row("USD")] + [a_haircut_row(name, residual="0.02") for name in ("BTC", "STABLE", "ALT")],
    },
)
"""Every charge, and offsets between groups; all collateral is risked and nothing is limited."""
ASSETS, STABLE = ["BTC", "RLUSD", "USDC", "XRP"], ["RLUSD", "USDC"]
CENTS = D("0.20")
"""Every line of every account is rounded against the client."""

quantities = st.decimals(-1000, 1000, places=2).filter(bool)
amounts = st.decimals(D("0.01"), 1000, places=2)
modes = st.lists(st.sampled_from(AccountMode), min_size=3, max_size=3)
"""Of a part in each account: an owner splits a book over cross accounts, over isolated ones, or over both."""
cross = st.just([AccountMode.CROSS] * 3)
shares = st.lists(st.integers(0, 10), min_size=3, max_size=3).filter(any)
signed = st.lists(st.integers(-6, 10), min_size=3, max_size=3).filter(sum)
few = settings(max_examples=40)


@given(st.dictionaries(st.sampled_from(CONTRACTS), quantities, min_size=1), modes, st.data())
def test_splitting_contracts_never_lowers_the_liquidity_charge(book, of_part, data):
    parts = [{} for _ in ACCOUNTS]
    for name, quantity in book.items():
        for part, share in zip(parts, _split(quantity, data.draw(shares)), strict=True):
            part[name] = (share, share * 100)
    whole = compute_margin(a_portfolio({name: (q, q * 100) for name, q in book.items()}, account=ACCOUNTS[0]), MARKET, RULES)
    assert sum(map(_liquidity, _margins(parts, of_part))) >= _liquidity(whole) - CENTS


@given(st.dictionaries(st.sampled_from(["BTC", "RLUSD", "USDC", "XRP"]), amounts, min_size=1), modes, st.data())
def test_splitting_pledged_collateral_makes_it_count_for_no_more(book, of_part, data):
    parts = [{} for _ in ACCOUNTS]
    for name, quantity in book.items():
        for part, share in zip(parts, _split(quantity, data.draw(shares)), strict=True):
            part[name] = share
    policies = dict.fromkeys(book, CollateralPolicy.PLEDGED)
    whole = compute_margin(a_portfolio(book, policies=policies, account=ACCOUNTS[0]), MARKET, RULES)
    assert sum(each.equity.equity for each in _margins(parts, of_part, policies)) <= whole.equity.equity + CENTS


@few
@given(st.dictionaries(st.sampled_from([*CONTRACTS, "CALL", *ASSETS]), quantities, min_size=1), cross, st.data())
def test_splitting_a_book_lowers_no_requirement_but_by_the_lines_that_are_named(book, of_part, data):
    """However it is split, with opposite parts too. What may be saved is a difference of lines: of hedges that are torn apart, and of
    charges that stand against a group's share of the market requirement. Buckets have other offsets, so they are no part of it.
    """
    held = {name: quantity * 100 if name in STABLE else quantity for name, quantity in book.items()}
    parts = _parts(held, lambda: data.draw(signed))
    whole = compute_margin(a_portfolio(_as_held(held), account=ACCOUNTS[0]), MARKET, CHARGED).requirement
    margins = [each.requirement for each in _margins(parts, of_part, rules=CHARGED)]
    names = {"basis": ("basis", "owner basis")} | {name: (name,) for name in ("wrong-way", "short-option minimum", "group minimum")}
    saved = [max(D(0), _charged(whole, *own) - sum(_charged(each, *own) for each in margins)) for own in names.values()]
    assert sum(each.maintenance_margin for each in margins) + sum(saved) >= whole.maintenance_margin - CENTS


@few
@given(st.dictionaries(st.sampled_from(["PERP", "PERP-USDC", "USDC", "RLUSD"]), quantities, min_size=2), modes, shares)
def test_splitting_a_hedge_in_proportion_never_lowers_the_basis_charge(book, of_part, ratio):
    held = {name: quantity * 100 if name in STABLE else quantity for name, quantity in book.items()}
    whole = compute_margin(a_portfolio(_as_held(held), account=ACCOUNTS[0]), MARKET, CHARGED).requirement
    margins = [each.requirement for each in _margins(_parts(held, lambda: ratio), of_part, rules=CHARGED)]
    assert sum(_charged(each, "basis", "owner basis") for each in margins) >= _charged(whole, "basis") - CENTS


@given(
    st.dictionaries(st.sampled_from([*CONTRACTS, "BTC", "RLUSD", "USDC", "XRP"]), amounts, min_size=1),
    st.dictionaries(st.sampled_from([*CONTRACTS, "BTC", "RLUSD", "USDC", "XRP"]), amounts, min_size=1),
    st.dictionaries(st.sampled_from(CONTRACTS), amounts),
    st.sampled_from([RULES, CHARGED]),
)
def test_whatever_a_bucket_holds_its_core_is_margined_to_the_same_bit(core, bucket, other_core, rules):
    """Two buckets with the same. But for the cap on what all clients of the house hold together, which is everybody's."""
    accounts = [(core, ACCOUNTS[0], AccountMode.CROSS), (other_core, ACCOUNTS[1], AccountMode.CROSS)]
    without = [a_portfolio(_as_held(book), account=account, mode=mode) for book, account, mode in accounts]
    beside = [a_portfolio(_as_held(bucket), account=account, mode=AccountMode.ISOLATED) for account in BUCKETS]
    views = [replace(house_view(portfolios, MARKET, rules), held={}) for portfolios in (without, [*without, *beside])]
    first, second = (compute_margin(a_portfolio(_as_held(core), account=ACCOUNTS[0], house=view), MARKET, rules) for view in views)
    assert replace(first, stamp=second.stamp) == second


def _as_held(book):
    return {name: (held, held * 100) if name in [*CONTRACTS, "CALL"] else held for name, held in book.items()}


def _parts(book, draw):
    parts = [{} for _ in ACCOUNTS]
    for name, quantity in book.items():
        for part, share in zip(parts, _split(quantity, draw()), strict=True):
            part[name] = (share, share * 100) if name in [*CONTRACTS, "CALL"] else share
    return parts


def _charged(requirement, *names):
    return sum((charge.amount for charge in requirement.charges if charge.name in names), D(0))


def _margins(parts, of_part, policies=None, rules=RULES):
    held = [{name: held for name, held in part.items() if (held[0] if isinstance(held, tuple) else held)} for part in parts]
    accounts = [(book, account, mode) for book, account, mode in zip(held, ACCOUNTS, of_part, strict=True) if book]
    view = house_view([a_portfolio(book, policies=policies, account=account, mode=mode) for book, account, mode in accounts], MARKET, rules)
    known = [a_portfolio(book, policies=policies, account=account, mode=mode, house=view) for book, account, mode in accounts]
    return [compute_margin(portfolio, MARKET, rules) for portfolio in known]


def _split(quantity, parts):
    """Parts in the ratio of some numbers, to the cent, that add up to the quantity."""
    shares = [(quantity * part / sum(parts)).quantize(D("0.01")) for part in parts[:-1]]
    return [*shares, quantity - sum(shares)]


def _liquidity(result):
    return sum((charge.amount for charge in result.requirement.charges if "liquidity" in charge.name), D(0))
