"""A background task that fails says so before it takes the process down."""

from __future__ import annotations

import pytest
import structlog

from crossmargin.app.serving import _until_it_fails


async def test_a_task_that_fails_is_logged_at_once_by_its_name_and_without_values():
    async def fail():
        value = "clients/alpha"
        raise LookupError(value)

    with structlog.testing.capture_logs() as logged, pytest.raises(LookupError):
        await _until_it_fails("monitor", fail())
    (line,) = logged
    assert (line["event"], line["task"], line["error"]) == ("background task failed", "monitor", "LookupError")
    assert "in fail" in line["stack"]
    assert "clients/alpha" not in str(line)
