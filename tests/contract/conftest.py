"""Every contract is put to both storages."""

from __future__ import annotations

import pytest

from tests.contract.storage import memory_storage, postgres_storage


@pytest.fixture(params=["memory", "postgres"])
async def storage(request):
    if request.param == "memory":
        yield memory_storage()
        return
    async with postgres_storage(request.getfixturevalue("database_url"), pool_size=16) as storage:
        yield storage
