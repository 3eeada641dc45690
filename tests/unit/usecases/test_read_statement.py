"""A day's statement is cut where the storage's clock says that entries were written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crossmargin.domain.errors import Reason
from tests.unit.usecases.house import CORE, USD
from tests.unit.usecases.refusals import refused


def written(house, *moments):
    """Pretend that the entries were written at these moments."""
    for sequence, moment in enumerate(moments, start=1):
        house.database.contents.recorded[CORE, sequence] = moment


def quantities(state):
    return {position.instrument_id: int(position.quantity) for position in state.positions}


async def test_a_day_has_the_entries_that_were_written_on_it(house):
    """Whenever their facts happened: all of these did at noon of the same day."""
    today = house.clock.now().replace(hour=0)
    for amount in ("1", "10", "100", "1000"):
        await house.deposit(amount)
    written(house, today - timedelta(days=3), today - timedelta(microseconds=1), today, today + timedelta(hours=3))
    found = await house.use_cases.read_statement(CORE, today.date())
    assert (found.opening.head.sequence, found.closing.head.sequence, found.is_final) == (2, 4, False)
    assert (quantities(found.opening), quantities(found.closing)) == ({USD: 11}, {USD: 1111})
    yesterday = await house.use_cases.read_statement(CORE, today.date() - timedelta(days=1))
    assert (quantities(yesterday.opening), quantities(yesterday.closing), yesterday.is_final) == ({USD: 1}, {USD: 11}, True)
    quiet = await house.use_cases.read_statement(CORE, today.date() - timedelta(days=2))
    assert (quiet.opening, quiet.opening.head.sequence) == (quiet.closing, 1)


async def test_clocks_that_disagree_at_midnight_leave_no_entry_out(house):
    """The second entry was written before midnight by its clock, and numbered after one of the next day: the next day begins after it."""
    today = datetime(2026, 3, 1, tzinfo=UTC)
    for amount in ("1", "10", "100"):
        await house.deposit(amount)
    written(house, today + timedelta(milliseconds=1), today - timedelta(milliseconds=1), today + timedelta(hours=1))
    before = await house.use_cases.read_statement(CORE, today.date() - timedelta(days=1))
    after = await house.use_cases.read_statement(CORE, today.date())
    assert (before.closing.head.sequence, after.opening.head.sequence, after.closing.head.sequence) == (2, 2, 3)


async def test_a_day_that_has_not_begun_has_no_statement(house):
    error = await refused(house.use_cases.read_statement(CORE, house.clock.now().date() + timedelta(days=1)), Reason.INVALID_ARGUMENT)
    assert error.facts["field"] == "date"
