"""What a caller is told when a request is refused."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from crossmargin.domain.errors import DomainError, Reason


async def refused(request: Awaitable[object], reason: Reason) -> DomainError:
    """Return the error of a request that must be refused for this reason."""
    with pytest.raises(DomainError) as caught:
        await request
    assert caught.value.reason is reason, caught.value
    return caught.value
