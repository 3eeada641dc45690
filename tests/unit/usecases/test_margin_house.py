"""A house is margined in blocks: the same bits however it is cut, nobody's trouble is another's, and nothing is computed for nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import Reason
from crossmargin.domain.house import NO_HOUSE
from crossmargin.domain.identifiers import AccountId, ClientId, InstrumentId
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.packed_positions import PackedPositions
from crossmargin.engine.house_view import house_view
from crossmargin.usecases import house_blocks
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.margin_house import MarginHouse
from crossmargin.usecases.ports.leadership import LeadershipLostError
from tests.unit.usecases.house import unexplained
from tests.unit.usecases.house_states import HELD, a_house, a_state, a_view

VIEW, HOUSE = a_view(), a_house()
LEAD = 7


@dataclass
class Led:
    """A lead that is over once so many have looked at its number."""

    looks: int = 1_000_000
    epochs: list[int] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        self.epochs.append(LEAD if len(self.epochs) < self.looks else LEAD + 1)
        return self.epochs[-1]


class CountingBlocks(ThreadComputePool):
    """Threads that remember which accounts they were given, by the work that was to be done to them."""

    def __init__(self, worker_count: int = 1) -> None:
        super().__init__(worker_count)
        self.asked: dict[str, list[str]] = {"parts_of": [], "margins_of": []}

    async def over_blocks(self, shared, work: Callable, blocks):
        def noted():
            for block in blocks:
                states = [getattr(each, "state", each) for each in block]
                self.asked[work.__name__] += [f"{state.account.ref.client_id}/{state.account.ref.account_id}" for state in states]
                yield block

        async for result in super().over_blocks(shared, work, noted()):
            yield result

    def taken(self):
        asked, self.asked = self.asked, {"parts_of": [], "margins_of": []}
        return asked["parts_of"], asked["margins_of"]


@pytest.fixture
def pool():
    pool = CountingBlocks()
    yield pool
    pool.close()


async def margined(house, states, view):
    """Totals and margins as the monitor asks for them."""
    totals = await house.totals(states, view, epoch=LEAD)
    known = view if totals is None else replace(view, house=totals)
    return totals, *(await house.margins(states, known, epoch=LEAD))


def account_by_account(states, view):
    """What the same house is by the engine alone, without blocks, a pool or a memory."""
    portfolios = {ref: portfolio_of(state.unpacked()) for ref, state in states.items()}
    totals = house_view(portfolios.values(), view.market, view.parameters)
    known = replace(view, house=totals)
    return totals, {ref: unexplained(known.margin(portfolio)) for ref, portfolio in portfolios.items()}


def bits(totals, results):
    return totals.document, [repr(results[ref]) for ref in results]


EXPECTED = account_by_account(HOUSE, VIEW)


@pytest.mark.parametrize(("size", "threads"), [(1, 1), (2, 3), (4, 2), (100, 1)])
async def test_neither_blocks_nor_threads_change_a_bit(monkeypatch, size, threads):
    monkeypatch.setattr(house_blocks, "BLOCK_ACCOUNTS", size)
    pool = ThreadComputePool(threads)
    totals, results, failed = await margined(MarginHouse(pool, Led()), HOUSE, VIEW)
    pool.close()
    assert bits(totals, results) == bits(*EXPECTED)
    assert failed == {}
    assert len(totals.owner_liquidity) >= 5, "owners that pay for what they hold together are what depends on an order of sums"


async def test_what_was_sent_to_another_process_margins_to_the_same_bits(pool):
    view, states = pickle.loads(pickle.dumps((VIEW, HOUSE)))  # noqa: S301 - our own
    totals, results, _ = await margined(MarginHouse(pool, Led()), states, view)
    assert bits(totals, results) == bits(*EXPECTED)
    there, here = [(await MarginHouse(pool, Led()).margins(HOUSE, each, epoch=LEAD))[0] for each in (view, VIEW)]
    assert list(map(repr, there.values())) == list(map(repr, here.values()))
    assert {result.stamp.house_view_id for result in there.values()} == {None}


def test_a_state_that_was_sent_is_the_one_that_was_read():
    policies = {InstrumentId("USD"): CollateralPolicy.PLEDGED}
    state = a_state("alpha", "bucket", {"USD": 1.50, "BTC": 2}, mode=AccountMode.ISOLATED, sequence=7, policies=policies)
    state = replace(state, account=replace(state.account, methodology=Methodology.RATIO))
    sent = pickle.loads(pickle.dumps([state, state]))  # noqa: S301 - our own
    for one in sent:
        assert (one, one.account.methodology, one.head.locked_at) == (state, Methodology.RATIO, None)
        assert (type(one.account.ref.client_id), type(one.account.parent)) == (ClientId, AccountId)
    assert len(pickle.dumps(state)) < len(state.positions.text) + 700


async def test_an_account_fails_alone_with_its_reason(pool):
    lost = a_state("alpha", "a2", {"USD": 5, "GHOST": 1})
    states = HOUSE | {lost.account.ref: lost}
    totals, results, failed = await margined(MarginHouse(pool, Led()), states, VIEW)
    assert failed == {lost.account.ref: Reason.UNKNOWN_INSTRUMENT}
    rest = {ref: state for ref, state in states.items() if ref != lost.account.ref}
    known = replace(VIEW, house=totals)
    assert results == {ref: unexplained(known.margin(portfolio_of(state.unpacked()))) for ref, state in rest.items()}


async def test_one_that_cannot_be_taken_apart_costs_the_totals_and_no_other_margin(pool):
    """Totals over a part would free limits of others, so those of before hold; whoever is well is margined."""
    torn = a_state("alpha", "a2", PackedPositions("main usd 1 0"))
    house, states = MarginHouse(pool, Led()), HOUSE | {torn.account.ref: torn}
    totals, results, failed = await margined(house, states, VIEW)
    assert (totals, failed) == (None, {torn.account.ref: Reason.INVALID_IDENTIFIER})
    assert set(results) == set(HOUSE) - {torn.account.ref}
    pool.taken()
    totals, results, _ = await margined(house, HOUSE, VIEW)
    assert bits(totals, results) == bits(*EXPECTED), "nothing of an owner without one of its accounts was kept"


async def test_what_does_not_move_is_not_computed_again_and_is_the_same(pool):
    house = MarginHouse(pool, Led())
    _, first, _ = await margined(house, HOUSE, VIEW)
    assert [len(accounts) for accounts in pool.taken()] == [9, 9]
    totals, again, _ = await margined(house, dict(HOUSE), VIEW)
    assert pool.taken() == ([], [])
    assert all(again[ref] is first[ref] for ref in HOUSE)
    assert bits(totals, again) == bits(*EXPECTED)


async def test_of_an_owner_one_of_whose_accounts_moved_the_totals_are_made_anew_and_one_margin(pool):
    """A position of a perpetual is in no total, so nobody else is charged otherwise."""
    house = MarginHouse(pool, Led())
    await margined(house, HOUSE, VIEW)
    pool.taken()
    moved = a_state("beta", "core", {"USD": 100_000, "CALL-CASH": 3}, sequence=2)
    states = HOUSE | {moved.account.ref: moved}
    totals, results, _ = await margined(house, states, VIEW)
    assert pool.taken() == (["beta/core"], ["beta/core"])
    assert bits(totals, results) == bits(*account_by_account(states, VIEW))
    richer = a_state("alpha", "a1", {"USD": 1, "BTC": 40}, sequence=2)
    states |= {richer.account.ref: richer}
    totals, results, _ = await margined(house, states, VIEW)
    parts, margins = pool.taken()
    assert (parts, len(margins)) == ([f"alpha/{name}" for name in ("a1", "a2", "a3", "a4", "bucket")], 9), "the totals are others"
    assert bits(totals, results) == bits(*account_by_account(states, VIEW))


async def test_an_account_that_comes_and_one_that_goes_change_what_their_owner_has_together(pool):
    house = MarginHouse(pool, Led())
    second = a_state("beta", "second", {"USD": 1, "BTC": 5})
    both = dict(sorted((HOUSE | {second.account.ref: second}).items()))
    for states in (HOUSE, both, HOUSE):
        totals, results, _ = await margined(house, states, VIEW)
        assert bits(totals, results) == bits(*account_by_account(states, VIEW))


@pytest.mark.parametrize(
    "change",
    [
        lambda view: a_view(),
        lambda view: a_view(held=HELD - {"CALL-CASH"}),
        lambda view: replace(view, fraction=view.fraction / 2, previous=view),
        lambda view: replace(view, snapshot=replace(view.snapshot)),
    ],
)
async def test_at_another_market_nothing_is_remembered(pool, change):
    house = MarginHouse(pool, Led())
    await margined(house, HOUSE, VIEW)
    pool.taken()
    await margined(house, HOUSE, change(VIEW))
    assert len(pool.taken()[1]) == 9


async def test_at_another_market_owners_are_charged_anew_for_what_they_have_together(pool):
    house, slower = MarginHouse(pool, Led()), a_view(average_daily_volume="500")
    await margined(house, HOUSE, VIEW)
    pool.taken()
    totals, results, _ = await margined(house, HOUSE, slower)
    assert len(pool.taken()[0]) == 9
    assert totals.owner_liquidity != EXPECTED[0].owner_liquidity
    assert bits(totals, results) == bits(*account_by_account(HOUSE, slower))


async def test_knowing_that_the_others_hold_nothing_is_another_view_than_knowing_nothing(pool):
    house = MarginHouse(pool, Led())
    nothing = replace(NO_HOUSE)
    assert nothing.view_id == NO_HOUSE.view_id
    for view, named in ((VIEW, None), (replace(VIEW, house=nothing), nothing.view_id), (VIEW, None)):
        results, _ = await house.margins(HOUSE, view, epoch=LEAD)
        assert {result.stamp.house_view_id for result in results.values()} == {named}


async def test_whoever_loses_the_lead_in_the_middle_goes_no_further(pool, monkeypatch):
    monkeypatch.setattr(house_blocks, "BLOCK_ACCOUNTS", 1)
    led = Led(looks=3)
    house = MarginHouse(pool, led)
    with pytest.raises(LeadershipLostError):
        await house.margins(HOUSE, VIEW, epoch=LEAD)
    assert len(led.epochs) == 4
    assert len(pool.taken()[1]) < len(HOUSE)
    led.looks = 1_000_000
    totals, results, _ = await margined(house, HOUSE, VIEW)
    assert bits(totals, results) == bits(*EXPECTED), "what was found before the end is no part of another run unless it is right"


async def test_whoever_lets_go_of_the_lead_lets_go_of_what_it_knew(pool):
    house = MarginHouse(pool, Led())
    await margined(house, HOUSE, VIEW)
    house.forget()
    pool.taken()
    await margined(house, HOUSE, VIEW)
    assert [len(accounts) for accounts in pool.taken()] == [9, 9]
