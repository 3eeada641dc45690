"""An instrument that a process has read once is not read again, and one that is not there yet is asked for every time."""

from __future__ import annotations

import pytest

from crossmargin.adapters.postgres.instruments import PostgresInstrumentReader
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import CryptoAsset
from tests.builders import an_instrument
from tests.contract.storage import postgres_storage

BTC, ETH = (an_instrument(name, CryptoAsset()) for name in ("BTC", "ETH"))
LATER = InstrumentId("LATER")


@pytest.fixture
async def storage(database_url):
    async with postgres_storage(database_url) as opened:
        await opened.create(BTC, ETH)
        yield opened


def turns(storage):
    """Return how often the database was asked for anything."""
    return storage.database.pool_statistics()["requests_num"]


async def found(reader, *names):
    return await reader.get_instruments([InstrumentId(name) for name in names])


async def test_what_was_read_is_not_read_again(storage):
    first = await found(storage.instruments, "BTC", "ETH")
    before = turns(storage)
    assert await found(storage.instruments, "ETH", "BTC", "BTC") == first == {BTC.instrument_id: BTC, ETH.instrument_id: ETH}
    assert turns(storage) == before


async def test_what_is_not_there_yet_is_there_once_it_is(storage):
    assert await found(storage.instruments, "BTC", LATER) == {BTC.instrument_id: BTC}
    await storage.create(later := an_instrument(LATER, CryptoAsset()))
    assert await found(storage.instruments, "BTC", LATER) == {BTC.instrument_id: BTC, LATER: later}


async def test_no_more_are_kept_than_there_is_room_for(storage):
    reader = PostgresInstrumentReader(storage.database, most_kept=1)
    assert len(await found(reader, "BTC", "ETH")) == 2
    before = turns(storage)
    assert len(await found(reader, "BTC", "ETH")) == 2
    assert turns(storage) == before + 1
