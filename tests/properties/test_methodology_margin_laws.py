"""Laws of the four methodologies beside the expected shortfall, on full margin results of real revaluations."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import MarginedTerms
from crossmargin.domain.methodology import Methodology
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import a_portfolio
from tests.methodology_books import GRIDS, INSTRUMENTS, MARKET, OTHERS, PARAMETERS, a_market, maintenance, margin, methodology_parameters

D = Decimal
CENT = D("0.01")
SPAN, TIMS, SCHEDULE, RATIO = OTHERS
NAMES = sorted(str(instrument.instrument_id) for instrument in INSTRUMENTS)
MARGINED = {str(instrument.instrument_id) for instrument in INSTRUMENTS if isinstance(instrument.terms, MarginedTerms)}

quantities = st.decimals(-50, 50, places=2).filter(bool)
methodologies = st.sampled_from(OTHERS)
modes = st.sampled_from(AccountMode)
policies = st.dictionaries(st.sampled_from(["BTC", "ETH", "BILL-4", "USD"]), st.sampled_from(CollateralPolicy))


@st.composite
def books(draw):
    held = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=6))
    return {name: _held(name, draw(quantities)) for name in held}


def _held(name, quantity):
    """A quantity at today's mark, so that a contract is worth nothing yet."""
    if name not in MARGINED:
        return (quantity, D(0))
    row = MARKET.row_of[InstrumentId(name)]
    return (quantity, (quantity * D(float(MARKET.unit_value[row] / MARKET.settlement_price[row]))).quantize(D("1e-8")))


A_LOSS_OF_LESS_THAN_A_CENT = {
    "BTC": (Decimal("0.01"), Decimal(0)),
    "GBP": (Decimal("0.01"), Decimal(0)),
    "USD": (Decimal("0.01"), Decimal(0)),
    "PERP": (Decimal("3.95"), Decimal(237_000)),
    "FAR-CALL": (Decimal("0.01"), Decimal(0)),
}


@given(books(), policies, methodologies, modes)
@example(A_LOSS_OF_LESS_THAN_A_CENT, {}, Methodology.SPAN_GRID, AccountMode.CROSS)
def test_every_line_adds_up_to_the_cent(book, policy, methodology, mode):
    result = margin(methodology, book, policies=policy, mode=mode)
    bridge = result.requirement
    netting = (bridge.netting_inside_groups, bridge.netting_inside_classes, bridge.netting_across_classes)
    assert bridge.market_requirement == bridge.gross - sum(netting)
    assert bridge.maintenance_margin == bridge.market_requirement + sum(charge.amount for charge in bridge.charges)
    assert sum(line.amount for line in result.contributions) == bridge.maintenance_margin
    assert min(bridge.gross, *netting, bridge.market_requirement) >= 0
    assert bridge.initial_margin >= bridge.maintenance_margin
    portfolio = a_portfolio(book, policies=policy, mode=mode)
    assert result.equity == compute_margin(portfolio, MARKET, PARAMETERS).equity
    assert all(scenario.pnl < 0 for scenario in result.worst_scenarios)


@given(books(), methodologies, st.integers(2, 9))
def test_a_book_of_n_times_the_size_needs_n_times_the_margin(book, methodology, factor):
    one = margin(methodology, book).requirement
    many = margin(methodology, {name: (factor * quantity, factor * cost) for name, (quantity, cost) in book.items()}).requirement
    # Each line is rounded up once.
    assert abs(many.maintenance_margin - factor * one.maintenance_margin) <= CENT * factor * (1 + len(one.charges))


@given(books(), methodologies, st.randoms(use_true_random=False))
def test_the_order_of_holdings_changes_nothing(book, methodology, random):
    portfolio = replace(a_portfolio(book), methodology=methodology)
    shuffled = list(portfolio.holdings)
    random.shuffle(shuffled)
    one, other = compute(portfolio, MARKET, PARAMETERS), compute(replace(portfolio, holdings=tuple(shuffled)), MARKET, PARAMETERS)
    assert abs(one.requirement.maintenance_margin - other.requirement.maintenance_margin) <= CENT
    assert {group.group_id for group in one.groups} == {group.group_id for group in other.groups}


@given(books(), methodologies, quantities)
def test_base_currency_cash_never_changes_the_requirement(book, methodology, quantity):
    rest = {name: held for name, held in book.items() if name != "USD"}
    assert margin(methodology, rest | {"USD": (quantity, 0)}).requirement == margin(methodology, rest).requirement


@given(books(), methodologies, policies)
def test_pledged_collateral_leaves_the_requirement_untouched(book, methodology, policy):
    pledged = [name for name in policy if policy[name] is CollateralPolicy.PLEDGED and book.get(name, (0, 0))[0] > 0]
    without = {name: held for name, held in book.items() if name not in pledged}
    more, less = margin(methodology, book, policies=policy), margin(methodology, without, policies=policy)
    if CollateralPolicy.AUTO not in policy.values():
        assert more.requirement == less.requirement
        return
    # How near AUTO comes to the best split is a share of all excess: with more of it the split, and the requirement, may be another.
    brought = sum(line.value_in_equity for line in more.equity.lines if line.instrument_id in pledged)
    assert abs(more.excess_to_initial - brought - less.excess_to_initial) <= abs(more.excess_to_initial) / 1000 + 2 * CENT


@given(books(), books(), st.sampled_from((*GRIDS, RATIO)))
def test_two_accounts_need_no_more_together_than_apart(book, other, methodology):
    merged = {name: tuple(map(sum, zip(*(held[name] for held in (book, other) if name in held), strict=True))) for name in book | other}
    together, apart = (margin(methodology, merged), [margin(methodology, each) for each in (book, other)])
    # Charges for what a hedge matches may be more together than apart.
    without_charges = sum(one.requirement.market_requirement for one in apart)
    assert together.requirement.market_requirement <= without_charges + CENT


@given(quantities, st.sampled_from(GRIDS))
def test_a_coin_against_its_own_perpetual_carries_no_risk_on_a_grid(quantity, methodology):
    size = abs(quantity)
    hedged = margin(methodology, {"BTC": size, "PERP": (-size, -size * 60_000)})
    assert hedged.requirement.market_requirement <= CENT
    assert maintenance(methodology, {"BTC": size}) > 0


@given(quantities, st.sampled_from((SCHEDULE, RATIO)))
def test_rates_on_notional_know_no_hedge(quantity, methodology):
    size = abs(quantity)
    hedged = maintenance(methodology, {"BTC": size, "PERP": (-size, -size * 60_000)})
    assert hedged == maintenance(methodology, {"BTC": size}) + maintenance(methodology, {"PERP": (-size, -size * 60_000)})


def _ends(part, name, *values):
    """Two sets of parameters, the second with a wider range or a higher rate, each with its market."""
    chosen = [methodology_parameters(**{part: {name: value}}) for value in values]
    return [(parameters, a_market(parameters)) for parameters in chosen]


WIDER = {
    "price": (SPAN, _ends("span", "price_fraction", "0.05", "0.2")),
    "rates": (SPAN, _ends("span", "rate_move", "0.005", "0.02")),
    "cover": (SPAN, _ends("span", "cover_fraction", "0.2", "0.9")),
    "minimum": (TIMS, _ends("tims", "contract_minimum", "0", "100")),
    "rate": (RATIO, _ends("ratio", "maintenance_fraction", "0.01", "0.1")),
}


@pytest.mark.parametrize("what", WIDER)
@settings(max_examples=20)
@given(book=books())
def test_a_wider_range_or_a_higher_rate_needs_no_less(what, book):
    methodology, ends = WIDER[what]
    linear = {key: held for key, held in book.items() if "CALL" not in key}
    narrow, wide = (maintenance(methodology, linear, parameters=parameters, market=market) for parameters, market in ends)
    assert narrow <= wide


@given(quantities, quantities)
def test_rounding_is_against_the_client_and_by_less_than_a_cent(coins, contracts):
    """Rates on notional are known exactly: a twentieth of all that is at risk, and what is said is never below it."""
    result = margin(RATIO, {"BTC": coins, "PERP": _held("PERP", contracts)})
    exact = D("0.05") * 60_000 * (abs(coins) + abs(contracts))
    assert 0 <= result.requirement.maintenance_margin - exact < CENT
