"""A house for each test."""

from __future__ import annotations

import pytest

from tests.unit.usecases.house import CountingPool, an_empty_house, furnish


@pytest.fixture
def empty_house():
    compute = CountingPool()
    yield an_empty_house(compute)
    compute.close()


@pytest.fixture
async def house(empty_house):
    await furnish(empty_house)
    return empty_house
