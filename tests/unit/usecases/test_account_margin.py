"""Reading, margining and previewing an account: what is held now, at the latest market, and nothing stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import Reason
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import AccountId, InstrumentId
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, EUROS, NOON, USD, a_history, perpetual_trade, spot_trade, unexplained
from tests.unit.usecases.refusals import refused

STRANGER = replace(CORE, account_id=AccountId("stranger"))


async def test_an_account_is_read_at_the_sequence_asked_for_and_not_before_it_is_there(house):
    await house.deposit("100")
    await house.deposit("50")
    state = await house.use_cases.read_account(CORE, min_sequence=2)
    assert (state.head.sequence, [position.quantity for position in state.positions]) == (2, [Decimal(150)])
    error = await refused(house.use_cases.read_account(CORE, min_sequence=3), Reason.SEQUENCE_NOT_REACHED)
    assert error.facts == {"account": str(CORE), "sequence": "2", "min_seq": "3"}


async def test_margin_and_previews_keep_the_promise_to_read_ones_writes(house):
    await refused(house.use_cases.evaluate_margin(CORE, min_sequence=1), Reason.SEQUENCE_NOT_REACHED)
    await refused(house.use_cases.explain_margin(CORE, min_sequence=1), Reason.SEQUENCE_NOT_REACHED)
    await refused(house.use_cases.preview_trades(CORE, [perpetual_trade("1")], min_sequence=1), Reason.SEQUENCE_NOT_REACHED)
    await house.deposit("100")
    assert (await house.use_cases.evaluate_margin(CORE, min_sequence=1)).stamp.sequence == 1


async def test_an_unknown_account_is_refused(house):
    for request in (
        house.use_cases.read_account(STRANGER),
        house.use_cases.evaluate_margin(STRANGER),
        house.use_cases.preview_trades(STRANGER, [perpetual_trade("1", account=STRANGER)]),
    ):
        await refused(request, Reason.UNKNOWN_ACCOUNT)


async def test_margin_is_of_what_is_held_at_the_latest_market(house):
    await house.deposit("100000")
    await house.trade("1")
    snapshot = await house.publish("59000", at=NOON + timedelta(seconds=1))
    result = await house.use_cases.evaluate_margin(CORE)
    assert (result.stamp.sequence, result.stamp.snapshot_id) == (2, snapshot.snapshot_id)
    assert result.equity.contract_value == Decimal(-1000)
    assert result.equity.equity == Decimal(99_000)
    assert result.requirement.maintenance_margin > 0


async def test_the_same_question_has_the_same_answer(house):
    await house.deposit("100000")
    await house.trade("1")
    assert await house.use_cases.evaluate_margin(CORE) == await house.use_cases.evaluate_margin(CORE)


async def test_an_explanation_is_of_the_margin_and_the_same_every_time(house):
    """The bootstrap is seeded with the scenarios it draws from, and nothing else is random."""
    await house.deposit("100000")
    await house.trade("3")
    first, second = [await house.use_cases.explain_margin(CORE) for _ in range(2)]
    assert first == second
    assert first.margin == await house.use_cases.evaluate_margin(CORE)
    assert first.distances[0].group_id == "BTC"
    assert -1 < first.distances[0].move.size < 0


async def test_what_is_held_and_cannot_be_valued_is_never_left_out(house):
    await house.use_cases.create_instrument(EUROS, caller=house.caller())
    await house.deposit("1", EUROS.instrument_id)
    error = await refused(house.use_cases.evaluate_margin(CORE), Reason.MISSING_RISK_FACTOR)
    assert (error.facts["instrument"], error.facts["account"]) == ("EUR", str(CORE))


async def test_a_preview_stores_nothing(house):
    await house.deposit("100000")
    before = await house.ports.books.account_state(CORE)
    await house.use_cases.preview_trades(CORE, [perpetual_trade("1"), spot_trade("0.5")])
    assert await house.ports.books.account_state(CORE) == before
    assert len(house.database.contents.entries) == 1


async def test_a_preview_says_what_booking_the_trades_then_shows(house):
    await house.deposit("100000")
    trades = [perpetual_trade("1"), spot_trade("-0.5")]
    preview = await house.use_cases.preview_trades(CORE, trades)
    assert preview.before == unexplained(await house.use_cases.evaluate_margin(CORE))
    await house.use_cases.record_trades(CORE, trades, caller=house.caller())
    booked = await house.use_cases.evaluate_margin(CORE)
    assert replace(preview.after, stamp=booked.stamp) == unexplained(booked)
    assert preview.after.stamp.sequence == preview.before.stamp.sequence == 1


async def test_a_preview_asks_for_the_market_only_when_it_is_another_one(house, monkeypatch):
    await house.deposit("100000")
    await house.use_cases.preview_trades(CORE, [perpetual_trade("1")])
    asked = []
    version = house.current_market.market.market_version

    async def market_version():
        asked.append(1)
        return await version()

    monkeypatch.setattr(house.current_market.market, "market_version", market_version)
    before = await house.use_cases.preview_trades(CORE, [perpetual_trade("2")])
    assert not asked
    await house.publish("59000")
    moved = await house.use_cases.preview_trades(CORE, [perpetual_trade("2")])
    assert asked
    assert moved.after.stamp.snapshot_id != before.after.stamp.snapshot_id


async def test_a_preview_rests_on_the_latest_totals_over_all_accounts(house):
    await house.deposit("100000")
    trades = [perpetual_trade("1")]
    assert (await house.use_cases.preview_trades(CORE, trades)).after.stamp.house_view_id is None
    for units in ("1", "2"):
        totals = HouseView({BTC: Decimal(units)}, {}, {})
        await house.ports.market.record_house_view(totals, epoch=0)
        preview = await house.use_cases.preview_trades(CORE, trades)
        assert preview.before.stamp.house_view_id == preview.after.stamp.house_view_id == totals.view_id


async def test_a_preview_of_no_trades_changes_nothing(house):
    await house.deposit("100000")
    preview = await house.use_cases.preview_trades(CORE, [])
    assert (preview.before, preview.acceptable) == (preview.after, True)


async def test_a_trade_is_acceptable_while_equity_covers_the_initial_margin(house):
    await house.deposit("100000")
    small = await house.use_cases.preview_trades(CORE, [perpetual_trade("1")])
    large = await house.use_cases.preview_trades(CORE, [perpetual_trade("20")])
    assert (small.after.excess_to_initial >= 0, small.acceptable) == (True, True)
    assert (large.after.excess_to_initial < 0, large.acceptable) == (True, False)


async def test_what_reduces_risk_is_acceptable_even_in_deficit(house):
    await house.deposit("100000")
    await house.trade("20")
    reducing = await house.use_cases.preview_trades(CORE, [perpetual_trade("-1")])
    adding = await house.use_cases.preview_trades(CORE, [perpetual_trade("1")])
    assert (reducing.after.excess_to_initial < 0, reducing.acceptable) == (True, True)
    assert not adding.acceptable


async def test_a_preview_refuses_what_could_not_be_booked(house):
    preview = house.use_cases.preview_trades
    await refused(preview(CORE, [spot_trade("1", instrument_id=InstrumentId("NOTHING"))]), Reason.UNKNOWN_INSTRUMENT)
    await refused(preview(CORE, [spot_trade("1", settlement=InstrumentId("NOTHING"))]), Reason.UNKNOWN_INSTRUMENT)
    await refused(preview(CORE, [spot_trade("1", settlement=None)]), Reason.INVALID_INSTRUMENT)
    await refused(preview(CORE, [perpetual_trade("0.0001")]), Reason.INVALID_DECIMAL)


async def test_a_policy_changes_how_a_holding_counts_and_the_last_one_holds(house):
    await house.deposit("1", BTC)
    unsaid, *said = [await house.use_cases.evaluate_margin(CORE)]
    for sequence, policy in ((2, CollateralPolicy.PLEDGED), (3, CollateralPolicy.RISKED), (4, CollateralPolicy.PLEDGED)):
        wanted = AccountCollateralPolicy(CORE, BTC, policy)
        assert await house.use_cases.set_collateral_policy(wanted, caller=house.caller()) == sequence
        said.append(await house.use_cases.evaluate_margin(CORE))
    _, risked, pledged = said
    # The shipped parameters decide for who says nothing, and a lone coin is better pledged.
    (line,) = unsaid.equity.lines
    assert (line.policy, line.risked, line.pledged) == (CollateralPolicy.AUTO, 0, Decimal(60_000))
    assert unsaid.excess_to_initial == max(risked.excess_to_initial, pledged.excess_to_initial)
    assert risked.equity.equity == Decimal(58_800)  # 60,000 less the residual 2%
    assert pledged.equity.equity == Decimal(48_000)  # less the flat 20%
    assert (risked.requirement.maintenance_margin > 0, pledged.requirement.maintenance_margin) == (True, 0)


async def test_a_policy_for_what_is_unknown_is_refused(house):
    set_policy = house.use_cases.set_collateral_policy
    for policy, reason in (
        (AccountCollateralPolicy(STRANGER, BTC, CollateralPolicy.PLEDGED), Reason.UNKNOWN_ACCOUNT),
        (AccountCollateralPolicy(CORE, InstrumentId("NOTHING"), CollateralPolicy.PLEDGED), Reason.UNKNOWN_INSTRUMENT),
    ):
        await refused(set_policy(policy, caller=house.caller()), reason)


async def test_a_policy_is_set_once_for_each_request_id_and_not_while_the_house_is_halted(house):
    """A change of policy is a request, so a halt refuses it; the deposit beside it is a fact."""
    caller = house.caller("again")
    pledged = AccountCollateralPolicy(CORE, BTC, CollateralPolicy.PLEDGED)
    assert [await house.use_cases.set_collateral_policy(pledged, caller=caller) for _ in range(2)] == [1, 1]
    house.database.is_halted = True
    late = house.caller("late")
    await refused(house.use_cases.set_collateral_policy(pledged, caller=late), Reason.HALTED)
    await house.deposit("1", BTC)
    house.database.is_halted = False
    # A late duplicate of what was refused must not be booked when nobody waits for it any more.
    await refused(house.use_cases.set_collateral_policy(pledged, caller=late), Reason.HALTED)
    assert (await house.ports.books.account_state(CORE)).head.sequence == 2


async def test_books_of_one_account_net(house):
    """A desk that is long and a desk that is short need no margin together."""
    await house.deposit("1000")
    await house.trade("3")
    other_desk = replace(perpetual_trade("-3"), book_id="other")
    await house.use_cases.record_trades(CORE, [other_desk], caller=house.caller())
    result = await house.use_cases.evaluate_margin(CORE)
    assert (result.requirement.maintenance_margin, result.equity.equity) == (0, Decimal(1000))
    positions = (await house.ports.books.account_state(CORE)).positions
    assert [position.quantity for position in positions if position.instrument_id == BTC_PERP] == [Decimal(3), Decimal(-3)]
    assert USD in {position.instrument_id for position in positions}


async def test_a_margin_is_reported_in_the_money_that_is_asked_for(house):
    await house.use_cases.create_instrument(EUROS, caller=house.caller())
    await house.use_cases.import_history(a_history("spot:BTC", "fx:EUR"))
    await house.publish(at=NOON + timedelta(seconds=1), fx_EUR="1.25")
    await house.deposit("100000")
    plain, in_euros = [await house.use_cases.read_standing(CORE, report_in=name) for name in (None, EUROS.instrument_id)]
    assert plain.reported is None
    assert in_euros.margin == plain.margin
    reported = in_euros.reported
    assert (reported.currency, reported.price, reported.equity.equity) == ("EUR", Decimal("1.25"), Decimal("80000.00"))


async def test_what_is_no_money_or_has_no_price_is_no_currency_to_report_in(house):
    await house.deposit("100000")
    in_dollars = await house.use_cases.read_standing(CORE, report_in=USD)
    assert (in_dollars.reported.price, in_dollars.reported.equity) == (1, in_dollars.margin.equity)
    coin = await refused(house.use_cases.read_standing(CORE, report_in=BTC), Reason.INVALID_ARGUMENT)
    assert coin.message == "report_in was BTC, a CryptoAsset; expected money such as EUR"
    unknown = await refused(house.use_cases.read_standing(CORE, report_in=InstrumentId("GBP")), Reason.UNKNOWN_INSTRUMENT)
    assert unknown.facts == {"instrument": "GBP"}
    await house.use_cases.create_instrument(EUROS, caller=house.caller())
    await refused(house.use_cases.read_standing(CORE, report_in=EUROS.instrument_id), Reason.MISSING_RISK_FACTOR)
