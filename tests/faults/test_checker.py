"""Every counter of the checker counts what it says: a sound ledger has none, and one that was tampered with has exactly that."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from tests.faults.checker import COUNTERS, check
from tests.faults.history import Answer, History, Line, LineAnswer, Operation, Outcome, Read

ACCOUNT = "clients/alpha/accounts/core"
GENESIS = b"\0" * 32


def a_deposit(name, quantity=5):
    return Operation(name, "deposit", ACCOUNT, (Line(f"{name}/1", "USD", Decimal(quantity)),))


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path / "history.jsonl")
    yield history
    history.close()


def told(history, operation, sequence, *, invoked_at=0.0, replied_at=1.0):
    """Note one answer: a sequence, or None for a refusal."""
    history.invoked(operation, "r")
    history.first_invoked[operation.request_id] = invoked_at
    outcome = Outcome.REFUSED if sequence is None else Outcome.BOOKED
    lines = (LineAnswer(sequence),) * len(operation.lines)
    history.replied(Answer(operation, "r", invoked_at, replied_at, outcome, lines), timeout_s=5)


@pytest.fixture
def ledger(database_url):
    """A connection that may do what nobody may: the guards of the ledger are off."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("INSERT INTO client (client_id, display_name) VALUES ('alpha', 'Alpha')")
        connection.execute("INSERT INTO account (client_id, account_id, display_name, mode) VALUES ('alpha', 'core', 'Core', 'cross')")
        connection.execute(
            "INSERT INTO account_head (client_id, account_id, sequence, chain_hash, status, mode) VALUES "
            "('alpha', 'core', 0, %s, 'open', 'cross')",
            [GENESIS],
        )
        connection.execute(
            "INSERT INTO position (client_id, account_id, book_id, instrument_id, quantity, cost) "
            "VALUES ('alpha', 'core', 'b', 'USD', 0, 0)"
        )
        yield connection


def book(ledger, operation, sequence, *, kind="deposit", account="core", other="custodian"):
    """Write an operation down as the service would."""
    (line,) = operation.lines
    post(ledger, sequence, kind, line.reference, {line.instrument_id: line.quantity}, account=account, other=other)
    ledger.execute(
        "INSERT INTO idempotency (principal, method, key, request_hash, response) VALUES ('local', 'Deposit', %s, '', '1') "
        "ON CONFLICT DO NOTHING",
        [operation.request_id],
    )


def post(ledger, sequence, kind, reference, moved, *, account="core", other="custodian"):
    """Write an entry, its legs and what follows from them."""
    before, after = hash_of(sequence - 1), hash_of(sequence)
    ledger.execute(
        "INSERT INTO entry (client_id, account_id, sequence, kind, effective_at, reference, previous_hash, chain_hash) VALUES "
        "('alpha', %s, %s, %s, now(), %s, %s, %s)",
        [account, sequence, kind, reference, before, after],
    )
    for number, (instrument, quantity) in enumerate(moved.items()):
        for leg, (side, signed) in enumerate(((account, quantity), (other, -quantity)), start=2 * number + 1):
            ledger.execute(
                "INSERT INTO posting (client_id, account_id, sequence, leg, ledger_account, book_id, instrument_id, quantity, cost) VALUES "
                "('alpha', %s, %s, %s, %s, 'b', %s, %s, 0)",
                [account, sequence, leg, side, instrument, signed],
            )
        ledger.execute(
            "INSERT INTO position AS held (client_id, account_id, book_id, instrument_id, quantity, cost) VALUES "
            "('alpha', %s, 'b', %s, %s, 0) "
            "ON CONFLICT ON CONSTRAINT position_pk DO UPDATE SET quantity = held.quantity + excluded.quantity",
            [account, instrument, quantity],
        )
    ledger.execute("UPDATE account_head SET sequence = %s, chain_hash = %s WHERE account_id = %s", [sequence, after, account])


def hash_of(sequence):
    return sequence.to_bytes(32, "big")


@pytest.fixture
def sound(ledger, history):
    """Three deposits, booked and answered in order, and one refused; the ledger they are in."""
    for sequence in (1, 2, 3):
        operation = a_deposit(f"d{sequence}")
        book(ledger, operation, sequence)
        told(history, operation, sequence, invoked_at=10.0 * sequence, replied_at=10.0 * sequence + 1)
    told(history, a_deposit("no"), None)
    history.reads.append(Read(ACCOUNT, 35.0, 3))
    return ledger


def found(database_url, history):
    return {name for name, count in check(database_url, history).items() if count.total}


def test_a_sound_ledger_has_nothing_wrong(sound, history, database_url):
    assert found(database_url, history) == set()


def test_orders_fills_and_transfers_that_are_in_order_are_not_counted(sound, history, database_url):
    limit_the_account(sound)
    with sound.transaction():
        transfer(sound, history)
    approve(sound, history, 5)
    fill(sound, history, 5, 6)
    fill(sound, history, 5, 8, used=0, flags=("TRADE_FLAG_BEYOND_RESERVATION",))
    assert found(database_url, history) == set()


def answer_that_was_never_booked(ledger, history):
    told(history, a_deposit("d9"), 9)


def answer_without_a_stored_answer(ledger, history):
    ledger.execute("UPDATE idempotency SET response = NULL WHERE key = 'd1'")


def one_deposit_twice(ledger, history):
    book(ledger, a_deposit("d3"), 4)


def a_deposit_nobody_asked_for(ledger, history):
    book(ledger, a_deposit("ghost"), 4)


def another_quantity_than_asked(ledger, history):
    ledger.execute("UPDATE posting SET quantity = quantity * 2 WHERE sequence = 3")
    ledger.execute("UPDATE position SET quantity = quantity + 5")


def a_refusal_that_was_booked(ledger, history):
    book(ledger, a_deposit("no"), 4)


def two_answers_to_one_request(ledger, history):
    told(history, a_deposit("d3"), 2, invoked_at=30.0, replied_at=32.0)


def one_sequence_for_two_requests(ledger, history):
    told(history, a_deposit("d4"), 3, invoked_at=30.0, replied_at=32.0)


def an_entry_that_is_gone(ledger, history):
    ledger.execute("DELETE FROM entry WHERE sequence = 2")


def a_head_that_is_behind(ledger, history):
    ledger.execute("UPDATE account_head SET sequence = 2")


def a_broken_link(ledger, history):
    ledger.execute("UPDATE entry SET previous_hash = %s WHERE sequence = 2", [hash_of(9)])


def a_position_that_is_not_the_sum(ledger, history):
    ledger.execute("UPDATE position SET quantity = quantity + 0.01")


def limit_the_account(ledger):
    ledger.execute(
        "INSERT INTO exposure_limits (client_id, account_id, gross, group_limits, set_by) VALUES ('alpha', 'core', 100, '{}', 'somebody')"
    )


def approve(ledger, history, sequence, *, quantity=1, kind="resting"):
    """Book the approval of an order to buy so many at 60, and tell of it."""
    operation = Operation(f"o{sequence}", "reserve", ACCOUNT, (Line(f"o{sequence}/1", "P", Decimal(0)),))
    book(ledger, operation, sequence, kind="reservation")
    told(history, operation, sequence, invoked_at=10.0 * sequence, replied_at=10.0 * sequence + 1)
    ledger.execute(
        "INSERT INTO reservation (client_id, account_id, sequence, book_id, instrument_id, quantity, price, kind, lifetime_s, "
        "reference, consideration, filled, reserved_by, reserved_at, expires_at, state) VALUES "
        "('alpha', 'core', %s, 'b', 'P', %s, 60, %s, 60, '', 60, 0, '', now(), now() + interval '60 s', 'active')",
        [sequence, quantity, kind],
    )


def fill(ledger, history, reservation, sequence, *, traded=1, used=1, flags=()):
    """Book a trade that fills an order, and what it used of it, in one commit, and tell of it."""
    operation = Operation(f"f{sequence}", "fill", ACCOUNT, (Line(f"f{sequence}/1", "P", Decimal(traded), about=reservation),))
    with ledger.transaction():
        book(ledger, operation, sequence, kind="trade", other="street")
        if used:
            post(ledger, sequence + 1, "reservation fill", f"{reservation} filled {used} by {sequence}", {})
    history.invoked(operation, "r")
    history.first_invoked[operation.request_id] = 10.0 * sequence
    answer = Answer(operation, "r", 10.0 * sequence, 10.0 * sequence + 1, Outcome.BOOKED, (LineAnswer(sequence, flags),))
    history.replied(answer, timeout_s=5)


def orders_over_the_limit_together(ledger, history):
    limit_the_account(ledger)
    approve(ledger, history, 4)
    approve(ledger, history, 5)


def an_order_over_the_limit_with_what_is_held(ledger, history):
    limit_the_account(ledger)
    approve(ledger, history, 4)
    fill(ledger, history, 4, 5)
    approve(ledger, history, 7)


def a_fill_beyond_its_order(ledger, history):
    approve(ledger, history, 4)
    fill(ledger, history, 4, 5, traded=2, used=2)


def a_trade_beyond_its_order_that_is_not_flagged(ledger, history):
    approve(ledger, history, 4)
    fill(ledger, history, 4, 5, traded=2, used=1)


def a_flag_that_means_nothing(ledger, history):
    approve(ledger, history, 4)
    fill(ledger, history, 4, 5, flags=("TRADE_FLAG_BEYOND_RESERVATION",))


def a_fill_of_another_order(ledger, history):
    approve(ledger, history, 4)
    fill(ledger, history, 4, 5)
    ledger.execute("UPDATE entry SET reference = '3 filled 1 by 5' WHERE sequence = 6")


def a_fill_in_another_commit(ledger, history):
    approve(ledger, history, 4)
    fill(ledger, history, 4, 5, used=0, flags=("TRADE_FLAG_BEYOND_RESERVATION",))
    post(ledger, 6, "reservation fill", "4 filled 1 by 5", {})


def an_order_that_expired_before_its_time(ledger, history):
    approve(ledger, history, 4, kind="immediate")
    post(ledger, 5, "reservation end", "4 expired", {})


def funding_of_too_much(ledger, history):
    approve(ledger, history, 4)
    fill(ledger, history, 4, 5)
    operation = Operation("u7", "funding", ACCOUNT, (Line("funding 1", "USD", Decimal(0), about=1),))
    post(ledger, 7, "funding", "funding 1", {"USD": Decimal("-0.7")})
    told(history, operation, 7, invoked_at=70.0, replied_at=71.0)
    ledger.execute(
        "INSERT INTO entry_details (client_id, account_id, sequence, details, event) VALUES ('alpha', 'core', 7, "
        """'{"event":"funding P 2026-03-02","terms":{"price":"60","rate":"0.01"}}', 'funding P 2026-03-02')"""
    )


def one_trade_cancelled_twice(ledger, history):
    ledger.execute("DROP INDEX entry_details_by_reverses")
    for sequence in (4, 5):
        book(ledger, a_deposit(f"c{sequence}", -5), sequence, kind="trade cancellation")
        ledger.execute(
            "INSERT INTO entry_details (client_id, account_id, sequence, details, reverses) "
            """VALUES ('alpha', 'core', %s, '{"reverses":1}', 1)""",
            [sequence],
        )


def transfer(ledger, history, *, arrives=5):
    """Book a transfer to a bucket, its two sides one after the other, and tell of it."""
    ledger.execute(
        "INSERT INTO account_head (client_id, account_id, sequence, chain_hash, status, mode) VALUES "
        "('alpha', 'bucket', 0, %s, 'open', 'isolated')",
        [GENESIS],
    )
    bucket = ACCOUNT.replace("core", "bucket")
    lines = (Line("t/1", "USD", Decimal(-5), account=ACCOUNT), Line("t/1", "USD", Decimal(5), account=bucket))
    operation = Operation("t", "transfer", ACCOUNT, lines)
    post(ledger, 4, "transfer", "t/1", {"USD": Decimal(-5)}, other="bucket")
    if arrives:
        post(ledger, 1, "transfer", "t/1", {"USD": Decimal(arrives)}, account="bucket", other="core")
    history.invoked(operation, "r")
    history.first_invoked["t"] = 40.0
    history.replied(Answer(operation, "r", 40.0, 41.0, Outcome.BOOKED, (LineAnswer(4), LineAnswer(1))), timeout_s=5)
    ledger.execute("INSERT INTO idempotency (principal, method, key, request_hash, response) VALUES ('local', 'Transfer', 't', '', '1')")


def a_transfer_that_never_arrives(ledger, history):
    with ledger.transaction():
        transfer(ledger, history, arrives=0)


def a_transfer_that_brings_more_than_it_takes(ledger, history):
    with ledger.transaction():
        transfer(ledger, history, arrives=6)


def a_transfer_in_two_commits(ledger, history):
    transfer(ledger, history)


def money_that_was_not_there(ledger, history):
    limit_the_account(ledger)
    operation = Operation("w4", "withdraw", ACCOUNT, (Line("w4/1", "USD", Decimal(-20)),))
    book(ledger, operation, 4, kind="withdrawal")
    told(history, operation, 4, invoked_at=40.0, replied_at=41.0)


def a_leg_too_many(ledger, history):
    ledger.execute("UPDATE posting SET quantity = quantity + 1 WHERE sequence = 1 AND ledger_account = 'custodian'")


def an_answer_before_an_earlier_one(ledger, history):
    history.first_invoked["d1"] = 25.0


def a_read_of_the_past(ledger, history):
    history.reads.append(Read(ACCOUNT, 35.0, 2))


@pytest.mark.parametrize(
    ("tamper", "counted"),
    [
        (answer_that_was_never_booked, {"lost"}),
        (answer_without_a_stored_answer, {"lost"}),
        (one_deposit_twice, {"doubled"}),
        (a_deposit_nobody_asked_for, {"phantom"}),
        (another_quantity_than_asked, {"lost", "phantom"}),
        (a_refusal_that_was_booked, {"refused but booked"}),
        (two_answers_to_one_request, {"divergent replies"}),
        (one_sequence_for_two_requests, {"divergent replies", "lost"}),
        (an_entry_that_is_gone, {"lost", "sequence gaps"}),
        (a_head_that_is_behind, {"sequence gaps"}),
        (a_broken_link, {"sequence gaps"}),
        (a_position_that_is_not_the_sum, {"balance is not the sum"}),
        (orders_over_the_limit_together, {"over limit"}),
        (an_order_over_the_limit_with_what_is_held, {"over limit"}),
        (money_that_was_not_there, {"over limit"}),
        (a_fill_beyond_its_order, {"over limit"}),
        (a_trade_beyond_its_order_that_is_not_flagged, {"over limit"}),
        (a_flag_that_means_nothing, {"over limit"}),
        (a_fill_of_another_order, {"phantom"}),
        (a_fill_in_another_commit, {"phantom"}),
        (an_order_that_expired_before_its_time, {"phantom"}),
        (funding_of_too_much, {"phantom"}),
        (one_trade_cancelled_twice, {"doubled"}),
        (a_transfer_that_never_arrives, {"lost", "sum is not zero"}),
        (a_transfer_that_brings_more_than_it_takes, {"lost", "phantom", "sum is not zero"}),
        (a_transfer_in_two_commits, {"sum is not zero"}),
        (a_leg_too_many, {"sum is not zero"}),
        (an_answer_before_an_earlier_one, {"real-time order"}),
        (a_read_of_the_past, {"real-time order"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_is_counted_under_its_name(tamper, counted, sound, history, database_url):
    tamper(sound, history)
    assert found(database_url, history) >= counted
    assert counted <= set(COUNTERS)
