"""Limits of the house and of an owner, and the owner's liquidity charge: what an account needs to know of the others."""

import pickle
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.house import NO_HOUSE, HouseView, house_view_from_document
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId, OffsetGroupId
from crossmargin.engine.house_view import house_view
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import a_haircut_row, a_portfolio
from tests.charge_books import a_market, issuers, parameters

D = Decimal
CLIENT = ClientId("alpha")
FIRST, SECOND = (AccountRef(CLIENT, AccountId(name)) for name in ("first", "second"))
STRANGER = AccountRef(ClientId("beta"), AccountId("core"))
BTC, RLUSD, USDC, XRP = (InstrumentId(name) for name in ("BTC", "RLUSD", "USDC", "XRP"))
ILLIQUID = {"BTC": {"spread_fraction": "0.004", "average_daily_volume": "5000"}}
TIERS = [{"up_to": "5000", "charge_fraction": "0.02"}, {"up_to": None, "charge_fraction": "0.03"}]
LIQUID = {"liquidity": {"spread_multiple": "2", "base_days": "0.3", "participation_fraction": "0.2"}, "rows": ILLIQUID}


def test_all_clients_count_for_their_part_of_the_cap():
    """1,000 RLUSD are held by all, 400 may count: the 250 of this account count for 100."""
    capped = _parameters(a_haircut_row("STABLE", house_limit=400))
    line = _line(_alone({"RLUSD": 250}, house=HouseView({RLUSD: D(1000)}, {}, {})), capped)
    assert (line.over_limit, line.value_in_equity) == (D(150), D(100))


def test_the_cap_by_supply_is_in_units():
    capped = _parameters(a_haircut_row("STABLE", house_supply_fraction="0.1"), supply="4000")
    line = _line(_alone({"RLUSD": 250}, house=HouseView({RLUSD: D(1000)}, {}, {})), capped)
    assert line.value_in_equity == D(100)


def test_a_house_that_is_not_known_is_this_account_alone():
    capped = _parameters(a_haircut_row("STABLE", house_limit=400))
    assert _line(_alone({"RLUSD": 250}), capped).value_in_equity == D(250)
    assert _line(_alone({"RLUSD": 500}), capped).value_in_equity == D(400)


def test_an_account_has_its_share_of_its_owners_tiers_and_limits():
    """The owner holds 40 BTC of 100: 1,000 at 20%, 2,000 at 30%, the last 1,000 nothing. A quarter of it has a quarter of each slice."""
    tiers = [{"up_to": "1000", "haircut_fraction": "0.2"}, {"up_to": "3000", "haircut_fraction": "0.3"}]
    rules = _parameters(a_haircut_row("BTC", bands=[{"up_to_years": None, "tiers": tiers}]))
    house = HouseView({BTC: D(40)}, {CLIENT: {BTC: D(40)}}, {})
    line = _line(_alone({"BTC": 10}, house=house), rules, name=BTC)
    assert line.value_in_equity == D(1000) / 4 * D("0.8") + D(2000) / 4 * D("0.7")
    limited = _parameters(a_haircut_row("BTC", absolute_limit=2000))
    assert _line(_alone({"BTC": 10}, house=house), limited, name=BTC).value_in_equity == D(500)


def test_an_isolated_account_has_what_the_cross_accounts_leave_of_tiers_and_limits():
    """Cross accounts hold 20 BTC of 100: of 1,000 at 20% and 2,000 at 30% they leave 1,000 at 30%; the bucket has half of 20 others."""
    tiers = [{"up_to": "1000", "haircut_fraction": "0.2"}, {"up_to": "3000", "haircut_fraction": "0.3"}]
    rules = _parameters(a_haircut_row("BTC", bands=[{"up_to_years": None, "tiers": tiers}]))
    house = HouseView({BTC: D(40)}, {CLIENT: {BTC: D(20)}}, {}, owned_isolated={CLIENT: {BTC: D(20)}})
    line = _line(_alone({"BTC": 10}, house=house, mode=AccountMode.ISOLATED), rules, name=BTC)
    assert line.value_in_equity == D(1000) / 2 * D("0.7")
    assert _line(_alone({"BTC": 20}, house=house), rules, name=BTC).value_in_equity == 1000 * D("0.8") + 1000 * D("0.7")
    limited = _parameters(a_haircut_row("BTC", absolute_limit=2500))
    assert _line(_alone({"BTC": 10}, house=house, mode=AccountMode.ISOLATED), limited, name=BTC).value_in_equity == D(250)


def test_an_isolated_account_bears_what_it_adds_and_its_core_nothing():
    market, rules = a_market(), parameters(**LIQUID)
    core = a_portfolio({"PERP": (50, 5000)}, account=FIRST)
    bucket = a_portfolio({"PERP": (50, 5000)}, account=SECOND, mode=AccountMode.ISOLATED)
    both = house_view([core, a_portfolio({"PERP": (50, 5000)}, account=SECOND)], market, rules).owner_liquidity
    view = house_view([core, bucket], market, rules)
    assert FIRST not in view.owner_liquidity
    group = OffsetGroupId("BTC")
    assert view.owner_liquidity[SECOND][group] == pytest.approx(both[FIRST][group] + both[SECOND][group], abs=D("0.02"))


def test_a_bucket_beside_several_cross_accounts_bears_what_it_adds_to_theirs():
    market, rules, group = a_market(), parameters(**LIQUID), OffsetGroupId("BTC")
    third = AccountRef(CLIENT, AccountId("third"))

    def charged(*modes):
        portfolios = [
            a_portfolio({"PERP": (50, 5000)}, account=account, mode=mode)
            for account, mode in zip((FIRST, SECOND, third), modes, strict=False)
        ]
        return {account: groups[group] for account, groups in house_view(portfolios, market, rules).owner_liquidity.items()}

    cross, isolated = AccountMode.CROSS, AccountMode.ISOLATED
    pair, beside = charged(cross, cross), charged(cross, cross, isolated)
    assert {account: beside[account] for account in (FIRST, SECOND)} == pair
    assert beside[third] == pytest.approx(sum(charged(cross, cross, cross).values()) - sum(pair.values()), abs=D("0.05"))


@pytest.mark.parametrize(
    ("mode", "cross", "isolated", "counts"),
    [
        (AccountMode.CROSS, {RLUSD: D(250), XRP: D(750)}, {RLUSD: D(1000)}, 100),  # a quarter of 400; what buckets hold is nothing to it
        (AccountMode.ISOLATED, {RLUSD: D(150)}, {RLUSD: D(250), XRP: D(250)}, 125),  # half of the 250 that cross accounts leave
        (AccountMode.ISOLATED, {XRP: D(400)}, {RLUSD: D(250)}, 0),
    ],
)
def test_an_issuers_limit_is_the_owners(mode, cross, isolated, counts):
    rules = parameters(
        issuers=issuers(collateral_limit="400"), beside={"haircut_schedule": [a_haircut_row(name) for name in ("USD", "STABLE", "ALT")]}
    )
    market = a_market()
    units = {name: amount / D(str(market.unit_value[market.row_of[name]])) for name, amount in cross.items()}
    beside = {name: amount / D(str(market.unit_value[market.row_of[name]])) for name, amount in isolated.items()}
    house = HouseView({}, {CLIENT: units}, {}, owned_isolated={CLIENT: beside})
    line = _line(_alone({"RLUSD": 250}, house=house, mode=mode), rules)
    assert line.value_in_equity == pytest.approx(D(counts), abs=D("0.01"))


def test_the_owners_charge_is_what_all_accounts_together_cost_more():
    market, rules = a_market(), parameters(**LIQUID)
    halves = [a_portfolio({"PERP": (50, 5000)}, account=account) for account in (FIRST, SECOND)]
    whole = compute_margin(a_portfolio({"PERP": (100, 10000)}, account=FIRST), market, rules)
    view = house_view(halves, market, rules)
    parts = [compute_margin(a_portfolio({"PERP": (50, 5000)}, account=account, house=view), market, rules) for account in (FIRST, SECOND)]
    charges = [{charge.name: charge.amount for charge in part.requirement.charges} for part in parts]
    together = {charge.name: charge.amount for charge in whole.requirement.charges}["liquidity"]
    assert charges[0] == charges[1]
    assert charges[0]["owner liquidity"] > 0
    assert sum(charge["liquidity"] + charge["owner liquidity"] for charge in charges) == pytest.approx(together, abs=D("0.04"))
    for part in parts:
        assert part.stamp.house_view_id == view.view_id
        assert sum(line.amount for line in part.contributions) == part.requirement.maintenance_margin


def test_the_tiers_of_the_basis_charge_are_the_owners():
    """6,000 dollars of RLUSD against as much USDC in each of two accounts: 5,000 at 2% and the other 7,000 at 3% are 310."""
    market, rules = a_market(), parameters(basis={"stablecoin_tiers": TIERS})
    books = [{"RLUSD": 6000, "USDC": -6000}] * 2
    view = house_view([a_portfolio(book, account=account) for book, account in zip(books, (FIRST, SECOND), strict=True)], market, rules)
    assert view.owner_basis == {FIRST: D(25), SECOND: D(25)}
    for account in (FIRST, SECOND):
        margin = compute_margin(a_portfolio(books[0], account=account, house=view), market, rules)
        charges = {charge.name: charge.amount for charge in margin.requirement.charges}
        assert (charges["basis"], charges["owner basis"]) == (D(130), D(25))
        assert sum(line.amount for line in margin.contributions) == margin.requirement.maintenance_margin
    assert house_view_from_document(view.document).view_id == view.view_id


def test_buckets_read_the_tiers_after_the_cross_accounts_of_their_owner():
    """4,000 matched in the core stay in the first tier; of 4,000 in a bucket 3,000 are in the second."""
    market, rules = a_market(), parameters(basis={"stablecoin_tiers": TIERS})
    book = {"RLUSD": 4000, "USDC": -4000}
    portfolios = [a_portfolio(book, account=FIRST), a_portfolio(book, account=SECOND, mode=AccountMode.ISOLATED)]
    assert house_view(portfolios, market, rules).owner_basis == {SECOND: D(30)}


def test_contracts_in_several_stablecoins_and_pairs_of_stablecoins_have_tiers_of_their_own():
    """Perpetuals in dollars against some in USDC, 4,000 dollars, and 4,000 of RLUSD against USDC: nothing is above 5,000."""
    market, rules = a_market(), parameters(basis={"stablecoin_tiers": TIERS})
    books = [{"PERP": (40, 4000), "PERP-USDC": (-40, -4000)}, {"RLUSD": 4000, "USDC": -4000}]
    portfolios = [a_portfolio(book, account=account) for book, account in zip(books, (FIRST, SECOND), strict=True)]
    assert house_view(portfolios, market, rules).owner_basis == {}


def test_a_hedge_that_is_torn_apart_or_gone_adds_nothing():
    market, rules = a_market(), parameters(basis={"stablecoin_tiers": TIERS})
    torn = [a_portfolio({"RLUSD": 9000}, account=FIRST), a_portfolio({"USDC": -9000}, account=SECOND)]
    assert house_view(torn, market, rules).owner_basis == {}
    view = HouseView({}, {}, {}, owner_basis={FIRST: D(25)})
    gone = compute_margin(a_portfolio({"RLUSD": 9000}, account=FIRST, house=view), market, rules)
    assert "owner basis" not in {charge.name for charge in gone.requirement.charges}


def test_opposite_accounts_and_other_owners_add_nothing():
    market, rules = a_market(), parameters(**LIQUID)
    books = [({"PERP": (50, 5000)}, FIRST), ({"PERP": (-50, -5000)}, SECOND), ({"PERP": (50, 5000)}, STRANGER)]
    assert house_view([a_portfolio(book, account=account) for book, account in books], market, rules).owner_liquidity == {}


def test_what_is_closed_out_is_charged_no_more():
    """The view is older than the trade: what the account has no exposure to adds nothing."""
    view = HouseView({}, {}, {FIRST: {OffsetGroupId("BTC"): D(100)}})
    charged, closed = (
        compute_margin(a_portfolio(book, account=FIRST, house=view), a_market(), parameters()).requirement
        for book in ({"PERP": (50, 5000)}, {"XRP": 1})
    )
    assert [charge.amount for charge in charged.charges if charge.name == "owner liquidity"] == [D(100)]
    assert [charge for charge in closed.charges if charge.name == "owner liquidity"] == []


def test_what_has_no_exposure_left_in_a_group_is_charged_no_more():
    """An option without a delta stands in the group, and there is nothing that its owner would close out with the others."""
    view = HouseView({}, {}, {FIRST: {OffsetGroupId("BTC"): D(5)}})
    margin = compute_margin(a_portfolio({"CALL": -20}, account=FIRST, house=view), a_market(), parameters(short_option_fraction="0.01"))
    assert [charge.name for charge in margin.requirement.charges] == ["short-option minimum"]
    assert sum(line.amount for line in margin.contributions) == margin.requirement.maintenance_margin == 20


def test_totals_are_of_what_is_held_and_the_base_currency_is_in_none():
    books = [
        ({"RLUSD": 100, "USD": 5, "PERP": (1, 100)}, FIRST),
        ({"RLUSD": 50, "BTC": -1}, SECOND),
        ({"RLUSD": 7, "BTC": 2}, STRANGER),
    ]
    view = house_view([a_portfolio(book, account=account) for book, account in books], a_market(), parameters())
    assert view.held == {RLUSD: D(157), BTC: D(2)}
    assert view.owned == {CLIENT: {RLUSD: D(150)}}
    assert view.owned_isolated == {}


def test_totals_of_cross_and_isolated_accounts_are_apart():
    third = AccountRef(CLIENT, AccountId("third"))
    books = [
        ({"RLUSD": 100, "USDC": 4}, FIRST, AccountMode.CROSS),
        ({"RLUSD": 50, "BTC": 1}, SECOND, AccountMode.ISOLATED),
        ({"BTC": 2}, third, AccountMode.ISOLATED),
    ]
    portfolios = [a_portfolio(book, account=account, mode=mode) for book, account, mode in books]
    view = house_view(portfolios, a_market(), parameters())
    assert view.owned == {CLIENT: {RLUSD: D(100), USDC: D(4)}}
    assert view.owned_isolated == {CLIENT: {RLUSD: D(50), BTC: D(3)}}
    assert house_view(portfolios[:1], a_market(), parameters()).owned == {}


def test_an_account_that_cannot_be_valued_holds_up_no_other():
    books = [({"NOTHING": 5, "RLUSD": 1}, FIRST), ({"RLUSD": 50}, SECOND)]
    view = house_view([a_portfolio(book, account=account) for book, account in books], a_market(), parameters())
    assert view.held == {RLUSD: D(51)}


def test_a_view_is_what_its_document_says_and_its_id_is_of_that():
    view = HouseView({RLUSD: D("1.50")}, {CLIENT: {RLUSD: D(1)}}, {FIRST: {OffsetGroupId("BTC"): D("0.01")}})
    assert "owned_isolated" not in view.document
    apart = HouseView(view.held, view.owned, view.owner_liquidity, owned_isolated={CLIENT: {BTC: D("2.0")}})
    assert house_view_from_document(apart.document).owned_isolated == {CLIENT: {BTC: D(2)}}
    assert apart.view_id != view.view_id
    again = house_view_from_document(view.document)
    assert (again.held, again.owned, again.owner_liquidity) == (view.held, view.owned, view.owner_liquidity)
    assert again.view_id == view.view_id
    assert HouseView({RLUSD: D("1.5")}, view.owned, view.owner_liquidity).view_id == view.view_id
    assert HouseView({RLUSD: D("1.51")}, view.owned, view.owner_liquidity).view_id != view.view_id


def test_knowing_nothing_and_a_view_are_the_same_in_another_process():
    view = HouseView({RLUSD: D("1.50")}, {CLIENT: {RLUSD: D(1)}}, {})
    nothing, again = pickle.loads(pickle.dumps((NO_HOUSE, view)))  # noqa: S301 - our own
    assert nothing is NO_HOUSE
    assert (again.document, again.view_id) == (view.document, view.view_id)


def _alone(book, *, house=NO_HOUSE, mode=AccountMode.CROSS):
    return a_portfolio(book, policies=dict.fromkeys(book, CollateralPolicy.PLEDGED), account=FIRST, house=house, mode=mode)


def _line(portfolio, rules, name=RLUSD):
    return next(line for line in compute_margin(portfolio, a_market(), rules).equity.lines if line.instrument_id == name)


def _parameters(*rows, supply=None):
    supplies = [{"curve": "spot:RLUSD", "units": supply}] if supply else []
    return parameters(beside={"haircut_schedule": [a_haircut_row("USD"), *rows], "circulating_supply": supplies})
