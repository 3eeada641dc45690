"""What both storages promise of liquidations: one open one an account, and steps that stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, InstrumentId, PendingRequestId, SnapshotId
from crossmargin.domain.liquidation import PlannedTrade
from crossmargin.domain.liquidation_life import (
    Fill,
    FillFlag,
    Liquidation,
    LiquidationOrder,
    LiquidationState,
    abandoned,
    approved,
    expired,
    filled,
    superseded,
    unreported,
)
from crossmargin.domain.margin import Band
from crossmargin.domain.pending_request import Persons
from crossmargin.domain.stress import StressStanding
from crossmargin.usecases.ports.liquidation import LiquidationFilter, liquidation_key
from crossmargin.usecases.ports.page import Page
from tests.contract.storage import CORE, OTHER

NOW = datetime(2026, 3, 2, 9, 0, 0, 250, tzinfo=UTC)
D = Decimal
BTC, USD = InstrumentId("BTC"), InstrumentId("USD")
TRADES = (
    PlannedTrade(InstrumentId("PERP"), D("-2.5"), None, D("52000.25"), D("51000"), D("10.01"), D("-3.5")),
    PlannedTrade(BTC, D("0.000000000000000001"), USD, D(52_000), D(53_000), D("0"), D("0")),
)


def a_liquidation(name="0f3a5b7c9d1e2f40", account=CORE, at=NOW):
    before = StressStanding(D("10.5"), D(20), D("1.904762"), Band.LIQUIDATION)
    new = Liquidation(
        account=account,
        liquidation_id=PendingRequestId(name),
        state=LiquidationState.APPROVED,
        orders=tuple(map(LiquidationOrder, TRADES)),
        target_utilization=D("0.75"),
        snapshot_id=SnapshotId("0" * 32),
        sequence=7,
        approved_snapshot_id=SnapshotId("1" * 32),
        persons=Persons("alice", "bob"),
        approved_at=at,
        expires_at=at + timedelta(hours=4),
        before=before,
        promised=replace(before, utilization=None),
        estimated_cost=D("10.01"),
    )
    return approved(new)


async def store(storage, *changes):
    for change in changes:
        await storage.create(change.liquidation, change.step)


@pytest.fixture(autouse=True)
async def accounts(storage):
    await storage.open_accounts(CORE, OTHER)


async def test_a_liquidation_and_its_steps_come_back_as_they_were(storage):
    first = a_liquidation()
    fill = Fill(InstrumentId("PERP"), D("-3"), D("50999.5"), 8, D("-0.01"), D("152998.5"), opened=D("-0.25"))
    second = filled(first.liquidation, fill, fill.price, at=NOW, by="olivia")
    standing = replace(second, liquidation=replace(second.liquidation, standing=first.liquidation.before))
    third = abandoned(standing.liquidation, at=NOW, by="carol", text="the client has paid")
    await store(storage, first, standing, third)
    name = first.liquidation.liquidation_id
    assert await storage.liquidations.get_liquidation(CORE, name) == third.liquidation
    assert list(await storage.liquidations.list_steps(CORE, name)) == [first.step, second.step, third.step]
    assert second.step.fill.flags >= {FillFlag.OVERFILLED, FillFlag.TURNED_OVER}
    assert (second.liquidation.traded_value, second.liquidation.reported_at) == (D("152998.5"), NOW)
    assert await storage.liquidations.open_liquidation(CORE) is None


async def test_an_account_has_one_open_liquidation(storage):
    first, second = a_liquidation(), a_liquidation("1" * 16)
    await store(storage, first)
    with pytest.raises(DomainError) as refused:
        await store(storage, second)
    assert refused.value.reason is Reason.ALREADY_EXISTS
    assert await storage.liquidations.open_liquidation(CORE) == first.liquidation
    end = superseded(first.liquidation, second.liquidation.liquidation_id, at=NOW, by="alice and bob")
    await storage.create(end.liquidation, end.step, second.liquidation, second.step)
    assert await storage.liquidations.open_liquidation(CORE) == second.liquidation
    await store(storage, a_liquidation("2" * 16, OTHER))


async def test_a_step_is_never_replaced(storage):
    first = a_liquidation()
    await store(storage, first)
    with pytest.raises(DomainError) as refused:
        await storage.create(replace(first.step, text="another"))
    assert refused.value.reason is Reason.ALREADY_EXISTS


async def test_liquidations_are_listed_by_account_and_time_and_in_pages(storage):
    longer = AccountRef(CORE.client_id, AccountId("core-2"))
    await storage.open_accounts(longer)
    old = a_liquidation("f" * 16)
    end = abandoned(old.liquidation, at=NOW, by="carol", text="why")
    new = a_liquidation("a" * 16, at=NOW + timedelta(hours=1))
    await store(storage, old, end, new, a_liquidation("b" * 16, OTHER), a_liquidation("c" * 16, longer))
    read = storage.liquidations
    every = list(await read.list_liquidations(LiquidationFilter(), Page(9)))
    assert [one.liquidation_id[0] for one in every] == ["f", "a", "c", "b"]
    assert list(await read.list_liquidations(LiquidationFilter(), Page(2, liquidation_key(every[0])))) == every[1:3]
    assert list(await read.list_liquidations(LiquidationFilter(OTHER.client_id), Page(9))) == every[3:]
    assert list(await read.list_liquidations(LiquidationFilter(CORE.client_id, CORE), Page(9))) == every[:2]
    open_now = list(await read.list_liquidations(LiquidationFilter(open_at=NOW), Page(9)))
    assert open_now == every[1:]
    later = NOW + timedelta(hours=4)
    assert list(await read.list_liquidations(LiquidationFilter(open_at=later), Page(9))) == every[1:2]


async def test_every_open_liquidation_is_found_also_one_whose_time_is_over_or_of_which_nothing_is_reported(storage):
    over = a_liquidation("f" * 16, at=NOW - timedelta(days=30))
    silent = unreported(a_liquidation("b" * 16, OTHER).liquidation, report_within=timedelta(0), at=NOW, by="crossmargin")
    await store(storage, a_liquidation("b" * 16, OTHER), over)
    await storage.create(silent.liquidation, silent.step)
    assert list(await storage.liquidations.open_liquidations()) == [over.liquidation, silent.liquidation]
    end = expired(over.liquidation, at=NOW, by="crossmargin")
    await storage.create(end.liquidation, end.step)
    assert list(await storage.liquidations.open_liquidations()) == [silent.liquidation]
    assert list(await storage.liquidations.list_steps(CORE, over.liquidation.liquidation_id)) == [over.step, end.step]


async def test_what_does_not_exist_is_unknown(storage):
    await store(storage, a_liquidation())
    for account, name in ((CORE, "9" * 16), (OTHER, "0f3a5b7c9d1e2f40")):
        with pytest.raises(DomainError) as refused:
            await storage.liquidations.get_liquidation(account, PendingRequestId(name))
        assert refused.value.reason is Reason.UNKNOWN_LIQUIDATION
