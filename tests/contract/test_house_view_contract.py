"""What both storage adapters promise of house views."""

from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import HouseViewId, InstrumentId, OffsetGroupId
from crossmargin.usecases.ports.leadership import LeadershipLostError
from tests.contract.storage import CORE

RLUSD = InstrumentId("RLUSD")


def a_view(units):
    return HouseView({RLUSD: Decimal(units)}, {CORE.client_id: {RLUSD: Decimal(units)}}, {CORE: {OffsetGroupId("BTC"): Decimal("0.01")}})


async def test_a_view_comes_back_as_it_was_and_the_last_one_is_the_latest(storage):
    assert await storage.market.latest_house_view_id() is None
    first, second = a_view("1.5"), a_view("2")
    for view in (first, second):
        await storage.market.record_house_view(view, epoch=0)
        assert await storage.market.latest_house_view_id() == view.view_id
    again = await storage.market.get_house_view(first.view_id)
    assert (again.held, again.owned, again.owner_liquidity) == (first.held, first.owned, first.owner_liquidity)


async def test_a_view_may_be_the_latest_again_and_the_latest_is_not_stored_twice(storage):
    first, second = a_view("1.5"), a_view("2")
    for view in (first, first, second, first):
        await storage.market.record_house_view(view, epoch=0)
    assert await storage.market.latest_house_view_id() == first.view_id
    assert (await storage.market.get_house_view(second.view_id)).view_id == second.view_id


async def test_a_leader_that_was_replaced_and_does_not_know_leaves_the_latest_view_as_it_is(storage):
    leader, successor = storage.new_leadership(), storage.new_leadership()
    assert await leader.try_lead()
    stale = leader.epoch
    await storage.market.record_house_view(a_view("1"), epoch=stale)
    await leader.close()
    assert await successor.try_lead()
    await storage.market.record_house_view(a_view("2"), epoch=successor.epoch)
    with pytest.raises(LeadershipLostError):
        await storage.market.record_house_view(a_view("3"), epoch=stale)
    await successor.close()
    assert await storage.market.latest_house_view_id() == a_view("2").view_id


async def test_a_view_that_was_never_stored_is_unknown(storage):
    with pytest.raises(DomainError) as refused:
        await storage.market.get_house_view(HouseViewId("0" * 32))
    assert (refused.value.reason, refused.value.facts["house_view"]) == (Reason.UNKNOWN_HOUSE_VIEW, "0" * 32)
