"""What the monitor sees of open liquidations: recovered, over, unheard of, left behind; it ends what it is sure of and tells the rest."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.band_memory import next_band_state
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId, PendingRequestId
from crossmargin.domain.instrument import CryptoAsset, Instrument
from crossmargin.domain.liquidation import PlanWish
from crossmargin.domain.liquidation_life import LiquidationState, LiquidationStepKind
from crossmargin.domain.liquidation_parameters import FIRST_LIQUIDATION
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.usecases.approve_liquidation import ApprovalRequest
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.leadership import LeadershipLostError
from crossmargin.usecases.review_calls import AccountSeen
from tests.unit.usecases.house import CORE, NOON, perpetual_trade
from tests.unit.usecases.refusals import refused

FALL = "52000"
MINUTE = timedelta(minutes=1)


class Desk:
    """An account in liquidation, the monitor that looks at it, and the people who trade it."""

    def __init__(self, house):
        self.house, self.review, self.minute = house, house.review_liquidations(), 1
        self.name = None

    async def move(self, price):
        self.minute += 1
        await self.house.publish(price, at=NOON + self.minute * MINUTE)

    async def approve(self):
        plan = (await self.house.use_cases.plan_liquidation(CORE, PlanWish())).plan
        request = ApprovalRequest(CORE, plan.sequence, plan.snapshot_id, plan.trades, plan.target_utilization)
        house = self.house
        proposed = await house.use_cases.approve_liquidation(request, caller=house.caller(principal="alice"))
        await self.move(FALL)
        caller = replace(house.caller(principal="bob"), confirms=proposed.pending_id)
        self.name = (await house.use_cases.approve_liquidation(request, caller=caller)).liquidation_id
        self.pass_time(timedelta(0))

    def pass_time(self, passed):
        """Let the monitor's clock stand so long after the last thing that was heard."""
        (found,) = [each for each in self.house.database.contents.liquidations.values() if each.liquidation_id == self.name]
        self.house.clock.move_to(found.heard_at + passed)

    async def report(self, quantity, price=FALL):
        fills = [perpetual_trade(str(quantity), price=str(price))]
        caller = self.house.caller(principal="olivia")
        return (await self.house.use_cases.report_liquidation(CORE, self.name, fills, caller=caller)).liquidation

    async def look(self, *, epoch=None, change=lambda result: result, meanwhile=None):
        """Let the monitor see the account at the market of now. What happens meanwhile it does not see."""
        view = await self.house.current_market()
        (held,) = await self.house.ports.books.packed_states([CORE])
        result = change(view.margin(portfolio_of(held.unpacked())))
        seen = AccountSeen(result, next_band_state(None, result, view.parameters), AccountMode.CROSS)
        if meanwhile is not None:
            await meanwhile()
        await self.review({CORE: seen}, {CORE: held}, view, epoch=self.house.database.epoch if epoch is None else epoch)
        return await self.stored()

    async def tick(self, *, epoch=None):
        """Let the monitor look at the clock; return what it would publish."""
        return await self.review.look_at_clock(epoch=self.house.database.epoch if epoch is None else epoch)

    async def stored(self):
        return await self.house.ports.liquidations.get_liquidation(CORE, self.name)

    async def kinds(self):
        return [step.kind for step in await self.house.ports.liquidations.list_steps(CORE, self.name)]


@pytest.fixture
async def desk(house):
    """An account that was fine at 60,000, is past the line at 52,000, and has an approved liquidation."""
    await house.deposit("300000")
    await house.trade("14")
    made = Desk(house)
    await made.move(FALL)
    await made.approve()
    return made


async def test_a_liquidation_ends_when_its_account_has_recovered_and_nobody_has_to_ask(desk):
    assert (await desk.look()).state is LiquidationState.APPROVED
    await desk.move("60000")
    ended = await desk.look()
    assert (ended.state, ended.ended_at) == (LiquidationState.CURED, desk.house.clock.now())
    (step,) = (await desk.house.ports.liquidations.list_steps(CORE, desk.name))[1:]
    assert (step.kind, step.by) == (LiquidationStepKind.CURED, "crossmargin")
    assert "1 of 1 orders are not done" in step.text
    assert desk.house.ports.liquidation_reports.steps[-1] == step
    assert await desk.kinds() == [LiquidationStepKind.APPROVED, LiquidationStepKind.CURED]
    await desk.look()
    assert len(await desk.kinds()) == 2, "once"


async def test_it_ends_at_its_target_exactly_and_not_above(desk):
    target = (await desk.stored()).target_utilization
    above = await desk.look(change=lambda result: replace(result, utilization=target + Decimal("0.000001")))
    assert above.is_open
    assert not (await desk.look(change=lambda result: replace(result, utilization=target))).is_open


async def test_an_account_that_may_only_have_recovered_is_left_in_the_hands_of_people(desk):
    """At the best end of doubted market data it has, at the worst one it has not: the gate stops trading, and nothing is ended."""

    class Doubted:
        def __init__(self, result, ends):
            self._result, self.utilization_range = result, ends

        def __getattr__(self, name):
            return getattr(self._result, name)

    for ends in ((Decimal("0.5"), Decimal("0.76")), (Decimal("0.5"), None)):
        assert (await desk.look(change=lambda result, ends=ends: Doubted(result, ends))).is_open
    assert not (await desk.look(change=lambda result: Doubted(result, (Decimal("0.5"), Decimal("0.75"))))).is_open


async def test_one_that_was_reported_of_meanwhile_is_looked_at_again(desk):
    """What the monitor margined is not what the account holds any more, so nothing is concluded from it."""
    await desk.move("60000")
    view = await desk.house.current_market()
    (held,) = await desk.house.ports.books.packed_states([CORE])
    result = view.margin(portfolio_of(held.unpacked()))
    store, found = desk.house.ports.liquidations, await desk.stored()
    await desk.move(FALL)
    await desk.report(-1)
    kept = store.open_liquidations

    async def as_it_was():
        return [found]

    store.open_liquidations = as_it_was
    seen = AccountSeen(result, next_band_state(None, result, view.parameters), AccountMode.CROSS)
    await desk.review({CORE: seen}, {CORE: held}, view, epoch=0)
    store.open_liquidations = kept
    assert (await desk.stored()).state is LiquidationState.EXECUTING


async def test_what_would_miss_its_target_by_now_is_told_and_not_ended(desk):
    await desk.look()
    assert [one.is_outdated for one in await desk.tick()] == [False]
    await desk.move("46000")
    assert (await desk.look()).is_open
    assert [one.is_outdated for one in await desk.tick()] == [True]
    await desk.move(FALL)
    await desk.look()
    assert [one.is_outdated for one in await desk.tick()] == [False]


async def test_what_goes_further_than_it_must_by_now_is_told_and_not_ended_and_nobody_trades_it_meanwhile(desk):
    """The client has paid half of what is missing: a new plan is smaller, and should the market fall again the old one is needed again."""
    await desk.house.deposit("25000")
    assert (await desk.look()).is_open
    assert [one.is_outdated for one in await desk.tick()] == [True]
    told = (await desk.house.use_cases.read_liquidation(CORE, desk.name)).refusal
    assert told.reason is Reason.PLAN_OUTDATED
    assert "goes further than it must by now" in told.message
    assert told.message.endswith("and 0.75 is to be reached; plan again")
    await desk.move("49600")
    await desk.look()
    assert [one.is_outdated for one in await desk.tick()] == [False]
    assert (await desk.house.use_cases.read_liquidation(CORE, desk.name)).refusal is None


async def test_what_the_client_has_closed_himself_is_not_closed_once_more(desk):
    """Eleven of fourteen are gone by a trade that nobody reported of: what is left of the plan would leave the account short of them."""
    (order,) = (await desk.stored()).orders
    assert order.trade.quantity < -3
    await desk.house.trade("-11")
    assert (await desk.look(change=lambda result: replace(result, utilization=Decimal(1)))).is_open
    assert [one.is_outdated for one in await desk.tick()] == [True]


async def test_it_expires_at_its_time_to_the_moment_and_is_told_once(desk):
    found = await desk.stored()
    desk.house.clock.move_to(found.expires_at - timedelta(microseconds=1))
    assert len(await desk.tick()) == 1
    desk.house.clock.move_to(found.expires_at)
    assert await desk.tick() == []
    ended = await desk.stored()
    assert (ended.state, ended.ended_at) == (LiquidationState.EXPIRED, found.expires_at)
    assert (await desk.kinds())[-1] is LiquidationStepKind.EXPIRED
    step = desk.house.ports.liquidation_reports.steps[-1]
    assert step.text == "1 of 1 orders are not done; plan again if the account is still short"
    count = len(await desk.kinds())
    await desk.tick()
    assert len(await desk.kinds()) == count


async def test_that_nothing_is_reported_is_told_once_and_again_after_the_next_report(desk):
    await desk.look()
    desk.pass_time(FIRST_LIQUIDATION.report_within - timedelta(microseconds=1))
    assert not (await desk.tick())[0].liquidation.is_unreported
    desk.pass_time(FIRST_LIQUIDATION.report_within)
    for _ in range(2):
        (seen,) = await desk.tick()
        assert (seen.liquidation.is_unreported, seen.liquidation.state) == (True, LiquidationState.APPROVED)
    assert await desk.kinds() == [LiquidationStepKind.APPROVED, LiquidationStepKind.UNREPORTED]
    assert desk.house.ports.liquidation_reports.steps[-1].text == "nothing was reported for 30 minutes; 1 of 1 orders are not done"
    executing = await desk.report(-1)
    assert (executing.is_unreported, executing.reported_at) == (False, executing.heard_at)
    desk.pass_time(FIRST_LIQUIDATION.report_within)
    assert (await desk.tick())[0].liquidation.is_unreported
    assert (await desk.kinds())[-2:] == [LiquidationStepKind.FILLED, LiquidationStepKind.UNREPORTED]


async def test_how_long_is_too_long_is_a_parameter_and_unknown_before_the_first_run(desk):
    desk.pass_time(timedelta(minutes=6))
    rules = {name: str(value) for name, value in asdict(FIRST_LIQUIDATION).items()} | {"report_minutes": "6"}
    await desk.house.adopt("house-2", liquidation=rules)
    assert not (await desk.tick())[0].liquidation.is_unreported
    await desk.look()
    assert (await desk.tick())[0].liquidation.is_unreported


async def test_a_leader_that_was_deposed_writes_nothing(desk):
    await desk.look()
    desk.pass_time(FIRST_LIQUIDATION.report_within)
    desk.house.database.epoch += 1
    with pytest.raises(LeadershipLostError):
        await desk.tick(epoch=desk.house.database.epoch - 1)
    await desk.move("60000")
    with pytest.raises(LeadershipLostError):
        await desk.look(epoch=desk.house.database.epoch - 1)
    assert await desk.kinds() == [LiquidationStepKind.APPROVED]
    assert not (await desk.look()).is_open, "the next one does it"


async def test_a_fill_after_its_time_is_booked_and_the_expiry_is_told_before_it(desk):
    """Nobody had looked at the clock yet: the steps are in the order in which things were so."""
    desk.house.database.clock_offset += FIRST_LIQUIDATION.lifetime
    late = await desk.report("-0.1")
    assert late.state is LiquidationState.EXPIRED
    assert await desk.kinds() == [LiquidationStepKind.APPROVED, LiquidationStepKind.EXPIRED, LiquidationStepKind.FILLED]


async def test_a_new_plan_says_of_one_whose_time_was_over_that_it_expired(desk):
    first = desk.name
    desk.house.database.clock_offset += FIRST_LIQUIDATION.lifetime
    await desk.approve()
    steps = await desk.house.ports.liquidations.list_steps(CORE, first)
    assert [step.kind for step in steps] == [LiquidationStepKind.APPROVED, LiquidationStepKind.EXPIRED]


async def test_every_step_that_is_written_is_reported_in_its_order_and_a_replay_is_not(desk):
    caller = desk.house.caller(principal="olivia")
    for _ in range(2):
        await desk.house.use_cases.report_liquidation(CORE, desk.name, [perpetual_trade("-1", price=FALL)], caller=caller)
    caller = desk.house.caller(principal="carol")
    for _ in range(2):
        await desk.house.use_cases.abandon_liquidation(CORE, desk.name, text="the client has paid", caller=caller)
    await refused(desk.report(1), Reason.INVALID_ARGUMENT)
    steps = list(await desk.house.ports.liquidations.list_steps(CORE, desk.name))
    assert desk.house.ports.liquidation_reports.steps == steps
    assert [step.kind.value for step in steps] == ["approved", "filled", "abandoned"]


async def test_a_fill_says_what_it_is_worth_and_what_it_was_expected_to_cost(desk):
    (order,) = (await desk.stored()).orders
    found = await desk.report(-2, order.trade.expected_price - 10)
    fill = (await desk.house.ports.liquidations.list_steps(CORE, desk.name))[-1].fill
    assert fill.value == found.traded_value == round(2 * (order.trade.expected_price - 10), 2)
    assert fill.cost == 20
    assert fill.expected_cost == pytest.approx(order.trade.cost * -2 / order.trade.quantity, abs=Decimal("0.01"))
    assert found.cost == fill.cost + fill.expected_cost


async def test_one_whose_account_has_moved_since_it_was_margined_is_looked_at_again(desk):
    """The monitor saw it recovered; by the time that it writes, the account is twice as large."""
    await desk.move("60000")

    async def trades():
        await desk.house.trade("14")

    assert (await desk.look(meanwhile=trades)).is_open
    desk.house.clock.skip(MINUTE)
    assert (await desk.look()).is_open
    await desk.house.trade("-14")
    assert (await desk.look()).state is LiquidationState.CURED


async def test_what_would_miss_its_target_is_told_until_somebody_knows_better(desk):
    """An account that cannot be margined is not one whose plan is good again."""
    await desk.move("46000")
    await desk.look()
    view = await desk.house.current_market()
    await desk.review({}, {}, view, epoch=desk.house.database.epoch)
    assert [one.is_outdated for one in await desk.tick()] == [True]
    await desk.move(FALL)
    await desk.look()
    await desk.review({}, {}, await desk.house.current_market(), epoch=desk.house.database.epoch)
    assert [one.is_outdated for one in await desk.tick()] == [False]


async def test_what_trades_something_stale_by_now_is_told(desk):
    desk.minute += 1
    stale = Quality(Verdict.STALE, NOON, Decimal(51_900), Decimal(52_100))
    await desk.house.publish(FALL, at=NOON + desk.minute * MINUTE, doubt=stale)
    assert (await desk.look()).is_open
    assert [one.is_outdated for one in await desk.tick()] == [True]


async def test_every_open_liquidation_is_looked_at_though_one_account_could_not_be_margined(desk):
    """The first account failed in this run; the second has recovered and is let go."""
    other = await desk.house.open_account("core", client="beta")
    (mine,) = desk.house.database.contents.liquidations.values()
    theirs = replace(mine, account=other, liquidation_id=PendingRequestId("f" * 16))
    desk.house.database.contents.liquidations[other, theirs.liquidation_id] = theirs
    view = await desk.house.current_market()
    (held,) = await desk.house.ports.books.packed_states([other])
    result = view.margin(portfolio_of(held.unpacked()))
    seen = AccountSeen(result, next_band_state(None, result, view.parameters), AccountMode.CROSS)
    await desk.review({other: seen}, {other: held}, view, epoch=desk.house.database.epoch)
    assert [each.account for each in await desk.house.ports.liquidations.open_liquidations()] == [CORE]


class Locked:
    """A storage of which somebody holds the lock of one account."""

    def __init__(self, writer, account):
        self.writer, self.account = writer, account

    async def write(self, request, decide):
        if request.accounts == (self.account,):
            raise DomainError(Reason.SERVICE_BUSY, f"{self.account} cannot be written now")
        return await self.writer.write(request, decide)


async def test_an_account_whose_lock_somebody_holds_keeps_no_other_liquidation_from_its_end(desk):
    """It stays as it is, and as it was known to be; the other one ends."""
    other = await desk.house.open_account("core", client="beta")
    (mine,) = desk.house.database.contents.liquidations.values()
    theirs = replace(mine, account=other, liquidation_id=PendingRequestId("f" * 16))
    desk.house.database.contents.liquidations[other, theirs.liquidation_id] = theirs
    desk.review.writer = Locked(desk.house.ports.writer, CORE)
    desk.house.clock.move_to(mine.expires_at)
    await refused(desk.tick(), Reason.SERVICE_BUSY)
    assert [each.account for each in await desk.house.ports.liquidations.open_liquidations()] == [CORE]
    desk.house.clock.move_to(mine.approved_at)
    await desk.move("60000")
    await refused(desk.look(), Reason.SERVICE_BUSY)
    desk.review.writer = desk.house.ports.writer
    assert not (await desk.look()).is_open


class Twice:
    """A storage that could not commit at first: it asks for the decision again, and writes the second one."""

    def __init__(self, writer):
        self.writer = writer

    async def write(self, request, decide):
        async def twice(heads):
            await decide(heads)
            return await decide(heads)

        return await self.writer.write(request, twice)


async def test_a_step_that_is_decided_again_is_told_once(desk):
    desk.review.writer = Twice(desk.house.ports.writer)
    told = len(desk.house.ports.liquidation_reports.steps)
    await desk.move("60000")
    await desk.look()
    assert [step.kind for step in desk.house.ports.liquidation_reports.steps[told:]] == [LiquidationStepKind.CURED]


async def test_what_is_over_expires_also_after_a_house_run_and_is_not_silent_as_well(desk):
    """Half an hour without a report is over long before four hours are, but nobody looked at the clock in between."""
    await desk.look()
    desk.house.clock.move_to((await desk.stored()).expires_at)
    assert await desk.tick() == []
    assert await desk.kinds() == [LiquidationStepKind.APPROVED, LiquidationStepKind.EXPIRED]


async def test_what_nobody_can_value_is_told_by_the_house_run_and_not_as_a_plan_left_behind(desk):
    """The account has been given a coin without a price since it was margined."""
    view = await desk.house.current_market()
    (held,) = await desk.house.ports.books.packed_states([CORE])
    result = view.margin(portfolio_of(held.unpacked()))
    await desk.house.use_cases.create_instrument(Instrument(InstrumentId("SOL"), CryptoAsset(), 8, "ETH"), caller=desk.house.caller())
    await desk.house.deposit("1", InstrumentId("SOL"))
    (held,) = await desk.house.ports.books.packed_states([CORE])
    seen = AccountSeen(result, next_band_state(None, result, view.parameters), AccountMode.CROSS)
    await desk.review({CORE: seen}, {CORE: held}, await desk.house.current_market(), epoch=desk.house.database.epoch)
    assert [one.is_outdated for one in await desk.tick()] == [False]
