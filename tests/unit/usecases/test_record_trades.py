"""Trades are facts: what can be booked is booked once, and every trade of a batch has its own outcome."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountStatus
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, InstrumentId
from crossmargin.usecases.record_trades import Booked, Refused
from tests.unit.usecases.house import BTC, CORE, USD, perpetual_trade, spot_trade
from tests.unit.usecases.refusals import refused

NOT_BUILT = DomainError(Reason.INVALID_DECIMAL, "quantity was 'x'", field="quantity")


async def held(house):
    state = await house.ports.books.account_state(CORE)
    return {position.instrument_id: position.quantity for position in state.positions}


async def test_a_trade_is_booked_under_the_next_sequence(house):
    recorded = await house.use_cases.record_trades(CORE, [spot_trade("2")], caller=house.caller())
    assert (recorded.outcomes, recorded.as_of_sequence, recorded.replayed) == ((Booked(1),), 1, False)
    assert await held(house) == {BTC: Decimal(2), USD: Decimal(-120_000)}


async def test_a_mixed_batch_books_what_it_can_and_says_why_not_of_the_rest(house):
    batch = [
        perpetual_trade("1"),
        NOT_BUILT,
        spot_trade("1", instrument_id=InstrumentId("NOTHING")),
        perpetual_trade("0.0001"),
        spot_trade("1", settlement=None),
        perpetual_trade("2"),
    ]
    recorded = await house.use_cases.record_trades(CORE, batch, caller=house.caller())
    assert [type(outcome) for outcome in recorded.outcomes] == [Booked, Refused, Refused, Refused, Refused, Booked]
    reasons = [outcome.reason for outcome in recorded.outcomes if isinstance(outcome, Refused)]
    assert reasons == ["INVALID_DECIMAL", "UNKNOWN_INSTRUMENT", "INVALID_DECIMAL", "INVALID_INSTRUMENT"]
    assert (recorded.outcomes[0], recorded.outcomes[-1], recorded.as_of_sequence) == (Booked(1), Booked(2), 2)
    assert recorded.outcomes[1] == Refused("INVALID_DECIMAL", "quantity was 'x'", {"field": "quantity"})
    assert await held(house) == {"BTC-PERP": Decimal(3)}


async def test_an_unknown_settlement_asset_refuses_the_trade(house):
    trade = spot_trade("1", settlement=InstrumentId("NOTHING"))
    error = await refused(house.use_cases.record_trades(CORE, [trade], caller=house.caller()), Reason.UNKNOWN_INSTRUMENT)
    assert error.facts["instrument"] == "NOTHING"


async def test_when_no_trade_can_be_booked_the_first_error_is_raised_and_the_request_id_stays_free(house):
    caller = house.caller("again")
    batch = [NOT_BUILT, spot_trade("1", instrument_id=InstrumentId("NOTHING"))]
    assert await refused(house.use_cases.record_trades(CORE, batch, caller=caller), Reason.INVALID_DECIMAL) is NOT_BUILT
    assert await held(house) == {}
    assert (await house.use_cases.record_trades(CORE, [perpetual_trade("1")], caller=caller)).outcomes == (Booked(1),)


async def test_a_batch_without_trades_is_refused(house):
    await refused(house.use_cases.record_trades(CORE, [], caller=house.caller()), Reason.INVALID_ARGUMENT)


async def test_a_repeated_request_returns_the_first_answer_and_books_nothing_more(house):
    batch = [perpetual_trade("1"), NOT_BUILT]
    caller = house.caller("again")
    first = await house.use_cases.record_trades(CORE, batch, caller=caller)
    await house.trade("5")
    second = await house.use_cases.record_trades(CORE, batch, caller=caller)
    assert (second.outcomes, second.as_of_sequence, second.replayed) == (first.outcomes, 1, True)
    assert (first.replayed, await held(house)) == (False, {"BTC-PERP": Decimal(6)})


@pytest.mark.parametrize(
    "other",
    [
        [perpetual_trade("2")],
        [perpetual_trade("1", price="60001")],
        [perpetual_trade("1", reference="other")],
        [perpetual_trade("1"), perpetual_trade("1")],
    ],
)
async def test_a_request_id_is_not_used_again_for_another_request(house, other):
    caller = house.caller("again")
    await house.use_cases.record_trades(CORE, [perpetual_trade("1")], caller=caller)
    await refused(house.use_cases.record_trades(CORE, other, caller=caller), Reason.REQUEST_ID_REUSED)
    assert await held(house) == {"BTC-PERP": Decimal(1)}


async def test_request_ids_of_two_principals_are_two(house):
    for principal in ("desk", "other desk"):
        caller = house.caller("again", principal=principal)
        assert not (await house.use_cases.record_trades(CORE, [perpetual_trade("1")], caller=caller)).replayed
    assert await held(house) == {"BTC-PERP": Decimal(2)}


async def test_an_unknown_account_is_refused(house):
    stranger = replace(CORE, account_id=AccountId("stranger"))
    trades = [perpetual_trade("1", account=stranger)]
    await refused(house.use_cases.record_trades(stranger, trades, caller=house.caller()), Reason.UNKNOWN_ACCOUNT)


async def test_a_closed_account_takes_no_trades_and_the_request_id_stays_free(house):
    heads = house.database.contents.heads
    heads[CORE] = replace(heads[CORE], status=AccountStatus.CLOSED)
    caller = house.caller("again")
    await refused(house.use_cases.record_trades(CORE, [perpetual_trade("1")], caller=caller), Reason.ACCOUNT_CLOSED)
    heads[CORE] = replace(heads[CORE], status=AccountStatus.OPEN)
    assert not (await house.use_cases.record_trades(CORE, [perpetual_trade("1")], caller=caller)).replayed


async def test_a_trade_is_booked_even_while_the_house_is_halted(house):
    """It has happened already."""
    house.database.is_halted = True
    assert (await house.use_cases.record_trades(CORE, [perpetual_trade("1")], caller=house.caller())).outcomes == (Booked(1),)


async def test_concurrent_batches_get_gapless_sequences_and_one_unbroken_chain(house):
    batch = [perpetual_trade("1"), perpetual_trade("-1"), perpetual_trade("0.5")]
    recorded = await asyncio.gather(*(house.use_cases.record_trades(CORE, batch, caller=house.caller()) for _ in range(10)))
    booked = sorted(outcome.sequence for one in recorded for outcome in one.outcomes)
    assert booked == list(range(1, 31))
    chain = await house.ports.books.list_entries(CORE, after_sequence=0, limit=100)
    assert [entry.previous_hash for entry in chain[1:]] == [entry.chain_hash for entry in chain[:-1]]
    assert await held(house) == {"BTC-PERP": Decimal(5)}


async def test_the_same_request_sent_twice_at_once_is_booked_once(house):
    caller = house.caller("again")
    both = await asyncio.gather(*(house.use_cases.record_trades(CORE, [perpetual_trade("1")], caller=caller) for _ in range(2)))
    assert sorted(one.replayed for one in both) == [False, True]
    assert await held(house) == {"BTC-PERP": Decimal(1)}
