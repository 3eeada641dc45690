"""What an election promises: at most one leader, and another one when it goes."""

from __future__ import annotations


async def test_only_the_first_leads_until_it_closes(storage):
    first, second = storage.new_leadership(), storage.new_leadership()
    assert [await first.try_lead(), await second.try_lead(), await first.try_lead()] == [True, False, True]
    await first.close()
    assert [await second.try_lead(), await first.try_lead(), await second.try_lead()] == [True, False, True]
    await second.close()
    await first.close()
