"""How much one caller, and all of them together, may ask for at a time."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from crossmargin.domain.errors import DomainError, Reason

_MOST_PRINCIPALS: Final = 10_000


@dataclass(frozen=True, slots=True)
class CallBudget:
    """How much there is.

    Attributes:
        calls_per_s: Calls that one principal may begin in a second, streams included. burst_s: Seconds of them that he may save up.
        urgent_calls_per_s: The same for calls that the access policy marks as urgent, out of a budget of their own.
        most_calls: Calls of everybody, without streams, that may run at once.
        most_urgent_calls: That may run beside those, so that a service full of previews still takes a halt.
        most_streams: Streams that one principal may have open.
    """

    calls_per_s: float = 1_000.0
    urgent_calls_per_s: float = 5_000.0
    burst_s: float = 2.0
    most_calls: int = 1_000
    most_urgent_calls: int = 500
    most_streams: int = 2_000


class CallLimits:
    """Lets calls in as long as there is something left for them.

    What is refused here has not been read and has done nothing, so it can be made again.

    Args:
        monotonic: Seconds that only ever grow. The wall clock will not do: set back, it would leave everybody without budget.
    """

    def __init__(self, budget: CallBudget, monotonic: Callable[[], float]) -> None:
        self._budget = budget
        self._buckets = {
            False: TokenBuckets(budget.calls_per_s, budget.calls_per_s * budget.burst_s, monotonic),
            True: TokenBuckets(budget.urgent_calls_per_s, budget.urgent_calls_per_s * budget.burst_s, monotonic),
        }
        self._running: Counter[bool] = Counter()
        self._streams: Counter[str] = Counter()

    @contextmanager
    def admitted(self, principal: str, *, is_urgent: bool, is_stream: bool) -> Iterator[None]:
        """Run a call.

        Raises:
            DomainError: RATE_LIMITED when its principal has used up his budget, or has too many streams open; SERVICE_BUSY when too many
                calls are running.
        """
        wait_s = self._buckets[is_urgent].take(principal)
        if wait_s > 0:
            raise _rate_limited(f"{principal} makes more calls than it may", wait_s)
        if is_stream:
            with self._open_stream(principal):
                yield
        else:
            with self._running_call(is_urgent):
                yield

    @contextmanager
    def _open_stream(self, principal: str) -> Iterator[None]:
        if self._streams[principal] >= self._budget.most_streams:
            raise _rate_limited(f"{principal} has {self._budget.most_streams} streams open; close some", 1.0)
        self._streams[principal] += 1
        try:
            yield
        finally:
            self._streams[principal] -= 1
            if not self._streams[principal]:
                del self._streams[principal]

    @contextmanager
    def _running_call(self, is_urgent: bool) -> Iterator[None]:  # noqa: FBT001 - the key of a table
        most = self._budget.most_urgent_calls if is_urgent else self._budget.most_calls
        # An urgent call takes a place of its own only when the common ones are taken.
        lane = is_urgent and self._running[False] >= self._budget.most_calls
        limit = most if lane else self._budget.most_calls
        if self._running[lane] >= limit:
            raise DomainError(Reason.SERVICE_BUSY, f"{limit} calls are running already; call again", running=limit)
        self._running[lane] += 1
        try:
            yield
        finally:
            self._running[lane] -= 1


class TokenBuckets:
    """One bucket for each principal, filled at a steady rate up to a brim."""

    def __init__(self, per_s: float, brim: float, monotonic: Callable[[], float]) -> None:
        self._per_s = per_s
        self._brim = max(brim, 1.0)
        self._monotonic = monotonic
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, principal: str) -> float:
        """Take one and return 0; return the seconds until there is one if there is none."""
        now = self._monotonic()
        level, seen_at = self._levels.pop(principal, (self._brim, now))
        level = min(self._brim, level + (now - seen_at) * self._per_s)
        is_there = level >= 1.0
        self._levels[principal] = (level - 1.0 if is_there else level, now)
        # Whoever was not heard of for the longest has a full bucket by now, or nearly.
        if len(self._levels) > _MOST_PRINCIPALS:
            self._levels.popitem(last=False)
        return 0.0 if is_there else (1.0 - level) / self._per_s


def _rate_limited(sentence: str, wait_s: float) -> DomainError:
    return DomainError(Reason.RATE_LIMITED, f"{sentence}; call again in {wait_s:.3f} s", retry_after_s=f"{wait_s:.3f}")
