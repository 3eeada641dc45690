"""How long calls took, in words."""

from __future__ import annotations

from collections.abc import Iterable

from tests.faults.history import Answer


def latency_line(answers: Iterable[Answer]) -> str:
    """Return count, median, 99th percentile and maximum of the time from call to answer, every retry of the client included."""
    seconds = sorted(answer.replied_at - answer.invoked_at for answer in answers)
    if not seconds:
        return "no calls"
    median, late = seconds[len(seconds) // 2], seconds[min(int(0.99 * len(seconds)), len(seconds) - 1)]
    return f"{len(seconds):,} calls took {median:.3f} s at the median, {late:.3f} s at the 99th percentile, {seconds[-1]:.3f} s at most"


def under_way(answers: Iterable[Answer], began: float, ended: float) -> list[Answer]:
    """Return the answers whose call was under way at some moment between two times of the history's clock."""
    return [answer for answer in answers if answer.invoked_at < ended and answer.replied_at > began]
