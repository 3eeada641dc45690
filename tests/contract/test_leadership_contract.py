"""What an election promises: at most one leader, and another one when it goes."""

from __future__ import annotations


async def test_only_the_first_leads_until_it_closes(storage):
    first, second = storage.new_leadership(), storage.new_leadership()
    assert [await first.try_lead(), await second.try_lead(), await first.try_lead()] == [True, False, True]
    await first.close()
    assert [await second.try_lead(), await first.try_lead(), await second.try_lead()] == [True, False, True]
    await second.close()
    await first.close()


async def test_whoever_leads_says_so_without_asking_anybody(storage):
    first, second = storage.new_leadership(), storage.new_leadership()
    assert (first.leads, second.leads) == (False, False)
    await first.try_lead()
    await second.try_lead()
    assert (first.leads, second.leads) == (True, False)
    await first.close()
    await second.try_lead()
    assert (first.leads, second.leads) == (False, True)
    await second.close()


async def test_every_lead_has_a_larger_number_and_who_does_not_lead_has_none(storage):
    first, second = storage.new_leadership(), storage.new_leadership()
    await first.try_lead()
    await second.try_lead()
    numbers = [first.epoch]
    assert second.epoch == 0
    await first.try_lead()
    assert first.epoch == numbers[0], "a leader that is asked again leads on"
    await first.close()
    await second.try_lead()
    numbers.append(second.epoch)
    assert first.epoch == 0
    await second.close()
    await first.try_lead()
    numbers.append(first.epoch)
    assert 0 < numbers[0] < numbers[1] < numbers[2]
    await first.close()
