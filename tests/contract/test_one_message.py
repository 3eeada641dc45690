"""What is asked and written the short way is what it is the long way; and whom a question is for is gone when it is answered."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from crossmargin.adapters.postgres import books as postgres_books
from crossmargin.adapters.postgres import writer as postgres_writer
from crossmargin.adapters.postgres.asked_accounts import account_values
from crossmargin.domain.account import GENESIS_HASH
from crossmargin.domain.book import Entry, append_to_chain
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.reservation_entry import entry_from_reservation
from crossmargin.usecases.caller import ADMITTED, Caller
from crossmargin.usecases.ports.writing import Decision
from tests.builders import cash
from tests.conftest import as_service
from tests.contract.storage import (
    CORE,
    OTHER,
    a_request,
    a_reservation,
    an_order,
    decide_reservation,
    postgres_storage,
    sql,
)

A_VIEW = HouseView({InstrumentId("USD"): Decimal(7)}, {CORE.client_id: {InstrumentId("USD"): Decimal(7)}}, {})
ALPHA_ALONE = Caller("p", scope=ClientScope(frozenset({CORE.client_id})))
WRITTEN = """
SELECT h.sequence, e.sequence, e.kind, e.reference, i.response, r.sequence, r.book_id, r.instrument_id, r.settlement, r.quantity, r.price,
    r.kind, r.lifetime_s, r.reference, r.consideration, r.paid_in, r.filled, r.reserved_by, r.reserved_at = e.effective_at,
    r.expires_at - r.reserved_at, r.state, e.previous_hash = sha256(''), e.chain_hash = h.chain_hash,
    (SELECT count(*) FROM posting), (SELECT count(*) FROM position)
FROM account_head AS h
JOIN entry AS e USING (client_id, account_id)
JOIN reservation AS r USING (client_id, account_id)
JOIN idempotency AS i ON i.key = 'order ' || client_id
WHERE client_id = %s
"""


@pytest.fixture
async def storage(database_url):
    """A service's storage on PostgreSQL."""
    async with postgres_storage(database_url) as found:
        await found.open_accounts(CORE, OTHER)
        yield found


async def the_long_way(storage, *refs):
    known = storage.database.positions.known(refs)
    columns = tuple([value] for value in account_values(refs, known))
    return await storage.database.answer(postgres_books._BOOKS_OF_SEVERAL, columns)


async def the_short_way(storage, ref):
    known = storage.database.positions.known((ref,))
    return await storage.database.answer(postgres_books._BOOKS_OF_ONE, account_values((ref,), known))


@pytest.mark.parametrize("is_known", [False, True])
async def test_one_account_is_answered_as_it_is_among_several(storage, is_known):
    await storage.create(
        cash("USD"),
        AccountCollateralPolicy(CORE, InstrumentId("USD"), CollateralPolicy.PLEDGED),
        ExposureLimits(CORE.client_id, CORE.account_id, gross=Decimal("10.5")),
        Halt(CORE.client_id, is_halted=True, reason="looking"),
    )
    await storage.book(a_request("deposit", CORE), CORE, "1000.25")
    await storage.writer.decide(a_request("order", CORE), decide_reservation(an_order()))
    await storage.market.record_house_view(A_VIEW, epoch=0)
    if is_known:
        await storage.books.read_books(CORE)
    (short,), (long,) = await the_short_way(storage, CORE), await the_long_way(storage, CORE)
    assert short.pop("decided_at") <= long.pop("decided_at")
    assert short == long
    assert (short["is_known"], short["quantities"]) == ((True, None) if is_known else (False, [Decimal("1000.25")]))
    assert short["house_view_id"] == A_VIEW.view_id
    assert [len(short[name]) for name in ("reservations", "limits", "halts", "policies")] == [1, 1, 1, 1]


async def test_of_many_accounts_each_is_known_or_not_for_itself(storage):
    await storage.book(a_request("deposit", CORE), CORE, 5)
    await storage.book(a_request("another", OTHER), OTHER, 7)
    first = await storage.books.read_books(OTHER)
    rows = await storage.database.answer(
        postgres_books._BOOKS_OF_SEVERAL,
        account_values((OTHER, CORE, OTHER), storage.database.positions.known((OTHER, CORE))),
    )
    assert [(row["client_id"], row["is_known"]) for row in rows] == [("alpha", False), ("beta", True)]
    books = await storage.books.read_books(CORE, OTHER, CORE)
    assert books.states[OTHER].positions is first.states[OTHER].positions
    assert [one.quantity for one in books.states[CORE].positions] == [5]


async def test_the_totals_are_named_to_everybody_and_open_no_wall(storage, database_url):
    """The question looks over all walls for the name of the latest totals, and behind them for everything else."""
    await storage.market.record_house_view(A_VIEW, epoch=0)
    await storage.book(a_request("deposit", OTHER), OTHER, 7)
    token = ADMITTED.set(ALPHA_ALONE)
    try:
        assert (await storage.books.read_books(CORE)).house_view_id == A_VIEW.view_id
        assert await the_short_way(storage, OTHER) == await the_long_way(storage, OTHER) == []
        for refs in ((OTHER,), (CORE, OTHER)):
            with pytest.raises(DomainError) as refused:
                await storage.books.read_books(*refs)
            assert refused.value.reason is Reason.UNKNOWN_ACCOUNT
    finally:
        ADMITTED.reset(token)


def test_whom_a_question_was_for_is_gone_with_its_answer_and_held_through_a_decision(storage, database_url):
    books = "SELECT * FROM read_books_for('*', '{alpha}', '{core}', '{null}', '{null}', '{null}')"
    begin = (
        "SELECT * FROM begin_decision_for('alpha', 'me', 'm', 'k', '\\x', true, '{}', '{alpha}', '{core}', '{null}', '{null}', '{null}')"
    )
    told = "SELECT current_setting('crossmargin.clients', true), current_setting('crossmargin.principal', true)"
    with psycopg.connect(as_service(database_url), autocommit=True) as connection:
        assert len(connection.execute(books).fetchall()) == 1
        assert connection.execute("SELECT count(*) FROM account").fetchone() == (0,)
        with connection.transaction():
            assert len(connection.execute(begin).fetchall()) == 1
            assert connection.execute(told).fetchone() == ("alpha", "me")
            assert connection.execute("SELECT client_id FROM account").fetchall() == [("alpha",)]
        assert connection.execute(told).fetchone() == ("", "")
        assert connection.execute("SELECT count(*) FROM account").fetchone() == (0,)


async def test_an_entry_that_moves_nothing_is_written_as_one_among_several_is(storage, database_url, monkeypatch):
    for ref in (CORE, OTHER):
        if ref == OTHER:
            monkeypatch.setattr(postgres_writer, "_is_one_that_moves_nothing", lambda _entries: False)
        wanted = an_order(account=ref, reference='a note {of, "two"} words\\', price="60000.5")
        await storage.writer.decide(a_request(f"order {ref.client_id}", ref, is_fact=False), decide_reservation(wanted))
    (short,), (long,) = sql(database_url, WRITTEN, "alpha"), sql(database_url, WRITTEN, "beta")
    assert short == long
    assert short[:4] == (1, 1, "reservation", short[3])
    assert short[13] == wanted.reference


@pytest.mark.parametrize(
    ("sequence", "previous"),
    [(1, b"\1" * 32), (2, GENESIS_HASH), (0, GENESIS_HASH)],
    ids=["other previous hash", "number skipped", "number again"],
)
async def test_an_entry_that_moves_nothing_and_does_not_continue_the_chain_is_refused_whole(storage, sequence, previous):
    before = storage.row_counts()

    async def misnumber(books):
        reservation = a_reservation(an_order(), sequence=sequence, now=books.now)
        good = append_to_chain(books.states[CORE].head, (entry_from_reservation(reservation),))[0]
        return Decision(b"?", (Entry(sequence, good.entry, previous, good.chain_hash),), reservations=(reservation,))

    with pytest.raises(ValueError, match="chain"):
        await storage.writer.decide(a_request("order", CORE, is_fact=False), misnumber)
    assert storage.row_counts() == before
    assert (await storage.books.read_books(CORE)).states[CORE].head.sequence == 0
