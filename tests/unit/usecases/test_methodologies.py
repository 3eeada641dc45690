"""An account is margined by the methodology that its ledger says, everywhere, and can be compared by all of them."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.book import EntryKind
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, RiskParameterSetId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.methodology import AccountMethodology, Methodology
from crossmargin.usecases.shadow_parameters import ShadowedAccount
from tests.unit.usecases.house import CORE, perpetual_trade, unexplained
from tests.unit.usecases.refusals import refused

SPAN, RATIO = Methodology.SPAN_GRID, Methodology.RATIO
SATELLITE = AccountRef(CORE.client_id, AccountId("satellite"))


async def choose(house, methodology, *, account=CORE, **how):
    chosen = AccountMethodology(account, methodology)
    return await house.use_cases.set_methodology(chosen, caller=how.pop("caller", house.caller()), **how)


async def margin(house, account=CORE):
    return await house.use_cases.evaluate_margin(account)


@pytest.fixture
async def invested(house):
    await house.deposit("1000000")
    await house.trade("10")
    return house


async def test_a_methodology_is_an_entry_of_the_ledger_and_the_last_one_holds(invested):
    main = await margin(invested)
    assert (await choose(invested, SPAN)).sequence == 3
    by_span = await margin(invested)
    # The shipped scan range of bitcoin is a fifth of 10 x 60,000.
    assert by_span.requirement.market_requirement == Decimal(120_000)
    assert (by_span.stamp.methodology, by_span.stamp.sequence) == (SPAN, 3)
    assert by_span.equity == main.equity
    assert (await choose(invested, Methodology.EXPECTED_SHORTFALL)).sequence == 4
    assert (await margin(invested)).requirement == main.requirement
    entries = await invested.ports.books.list_entries(CORE, after_sequence=2, limit=9)
    assert [(entry.entry.kind, entry.entry.reference, entry.entry.postings) for entry in entries] == [
        (EntryKind.METHODOLOGY, "span_grid", ()),
        (EntryKind.METHODOLOGY, "expected_shortfall", ()),
    ]


async def test_the_account_says_what_it_is_margined_by(invested):
    assert (await invested.ports.books.get_account(CORE)).methodology is Methodology.EXPECTED_SHORTFALL
    done = await choose(invested, SPAN)
    assert done.account.methodology is SPAN
    assert (await invested.ports.books.get_account(CORE)).methodology is SPAN
    again = Account(CORE, "An account", AccountMode.CROSS)
    assert await invested.use_cases.create_account(again, caller=invested.caller()) == again
    assert (await invested.ports.books.get_account(CORE)).methodology is SPAN


async def test_a_dry_run_makes_every_check_and_writes_nothing(invested):
    done = await choose(invested, SPAN, validate_only=True)
    assert (done.account.methodology, done.sequence) == (SPAN, 0)
    assert (await margin(invested)).stamp.methodology is Methodology.EXPECTED_SHORTFALL
    assert (await invested.ports.books.account_state(CORE)).head.sequence == 2
    await refused(choose(invested, SPAN, account=SATELLITE, validate_only=True), Reason.UNKNOWN_ACCOUNT)


async def test_a_methodology_is_set_once_for_each_request_id_and_not_while_the_house_is_halted(invested):
    caller = invested.caller("again")
    assert [(await choose(invested, SPAN, caller=caller)).sequence for _ in range(2)] == [3, 3]
    invested.database.is_halted = True
    late = invested.caller("late")
    await refused(choose(invested, RATIO, caller=late), Reason.HALTED)
    invested.database.is_halted = False
    await refused(choose(invested, RATIO, caller=late), Reason.HALTED)
    assert (await margin(invested)).stamp.methodology is SPAN


async def test_a_methodology_that_the_parameters_do_not_cover_is_refused_and_nothing_is_written(invested):
    shipped = (await invested.ports.parameters.get_parameters(RiskParameterSetId("standard-1"))).document
    await adopt_without_methodologies(invested, shipped)
    for methodology in (SPAN, Methodology.TIMS_GRID, RATIO):
        await refused(choose(invested, methodology), Reason.METHODOLOGY_UNAVAILABLE)
        await refused(choose(invested, methodology, validate_only=True), Reason.METHODOLOGY_UNAVAILABLE)
    assert (await choose(invested, Methodology.STANDARD_SCHEDULE)).sequence == 3


async def test_a_comparison_names_what_is_not_available_and_shows_the_rest(invested):
    shipped = (await invested.ports.parameters.get_parameters(RiskParameterSetId("standard-1"))).document
    await adopt_without_methodologies(invested, shipped)
    comparison = await invested.use_cases.compare_methodologies(CORE)
    shown = {one.methodology: isinstance(one.outcome, MarginResult) for one in comparison.margins}
    assert shown == {
        Methodology.EXPECTED_SHORTFALL: True,
        SPAN: False,
        Methodology.TIMS_GRID: False,
        Methodology.STANDARD_SCHEDULE: True,
        RATIO: False,
    }


async def test_a_comparison_margins_the_same_holdings_by_every_methodology_and_changes_none(invested):
    comparison = await invested.use_cases.compare_methodologies(CORE)
    assert [one.methodology for one in comparison.margins] == list(Methodology)
    assert comparison.selected is Methodology.EXPECTED_SHORTFALL
    results = {one.methodology: one.outcome for one in comparison.margins}
    assert results[Methodology.EXPECTED_SHORTFALL] == await margin(invested)
    assert {result.equity for result in results.values()} == {(await margin(invested)).equity}
    for methodology, result in results.items():
        await choose(invested, methodology)
        chosen = await margin(invested)
        assert replace(chosen, stamp=result.stamp) == result
        assert chosen.stamp == replace(result.stamp, sequence=chosen.stamp.sequence)


async def test_a_preview_and_the_house_run_margin_by_the_account_s_methodology(invested):
    await choose(invested, RATIO)
    preview = await invested.use_cases.preview_trades(CORE, [perpetual_trade("10")])
    assert preview.before == unexplained(await margin(invested))
    assert preview.after.requirement.maintenance_margin == 2 * preview.before.requirement.maintenance_margin
    assert preview.after.stamp.methodology is RATIO


async def test_a_shadow_run_keeps_the_methodology_and_takes_the_parameters_of_the_other_set(invested):
    await choose(invested, RATIO)
    name = await invested.propose("house-2", tail_fraction="0.5")
    (one, _) = [item async for item in invested.use_cases.shadow_parameters(name)]
    assert isinstance(one, ShadowedAccount)
    # Fixed rates know no tail.
    assert one.shadow.requirement.market_requirement == one.in_force.requirement.market_requirement
    assert one.shadow.stamp.methodology is RATIO


async def test_an_isolated_bucket_by_fixed_rates_leaves_the_core_untouched(invested):
    """15,000 in all, 5,000 of it in a bucket whose position needs just that: the other 10,000 are out of reach."""
    before = await margin(invested)
    satellite = Account(SATELLITE, "A bucket", AccountMode.ISOLATED, CORE.account_id)
    await invested.use_cases.create_account(satellite, caller=invested.caller())
    await invested.deposit("5000", account=SATELLITE)
    await choose(invested, RATIO, account=SATELLITE)
    half_leverage = perpetual_trade("0.166", account=SATELLITE)
    await invested.use_cases.record_trades(SATELLITE, [half_leverage], caller=invested.caller())
    bucket = await margin(invested, SATELLITE)
    assert bucket.requirement.initial_margin == Decimal("4980.00")
    assert bucket.gap is not None
    assert await margin(invested) == before


async def adopt_without_methodologies(house, shipped):
    document = {name: value for name, value in json.loads(shipped).items() if name != "methodologies"} | {"set_id": "before-1"}
    name = (await house.use_cases.propose_parameters(json.dumps(document), caller=house.caller(principal="alice"))).set_id
    await house.use_cases.approve_parameters(name, caller=house.caller(principal="bob"))
    await house.use_cases.activate_parameters(name, active_from=None, ramp_days=0, caller=house.caller(principal="bob"))
