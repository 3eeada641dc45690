"""When a failed call is made again, and how long to wait before it."""

from __future__ import annotations

import random
import time
from typing import Final

import grpc

from crossmargin_client.errors import Busy, CrossmarginError, Unavailable, error_from_call

RETRIABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED})
"""Nothing happened, or a write with the same request id is decided once: making the call again is safe in both cases. A call that its
caller cancels ends in Python's own way, so CANCELLED here comes from a server that went away as the call arrived."""
MOST_ATTEMPTS: Final = 6
"""The waits between them, at least a second and a half together, are longer than a channel takes to come back to a service that is there
again (see `channels`). An address where nobody listens is reported after two or three seconds."""
_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 5.0


def backoff_s(retry: int, *, draw: float | None = None) -> float:
    """Return the seconds to wait before the `retry`-th retry, counted from 0: doubling from 0.1 s to 5 s, less up to half by chance.

    `draw` from 0 to 1 fixes the chance. Without chance, callers that failed together would come back together.

    >>> [backoff_s(retry, draw=0.0) for retry in (0, 1, 2, 9)]
    [0.1, 0.2, 0.4, 5.0]
    """
    if draw is None:
        draw = random.random()  # noqa: S311 - spreads load, protects nothing
    return min(_FIRST_DELAY_S * 2.0 ** min(retry, 30), _LONGEST_DELAY_S) * (1.0 - 0.5 * draw)


class Attempts:
    """The attempts at one call, within one deadline."""

    def __init__(self, timeout_s: float, *, request_id: str = "", after: grpc.StatusCode | None = None) -> None:
        self._request_id = request_id
        self._give_up_at = time.monotonic() + timeout_s
        # What was sent another way before, and failed so, counts as the first attempt.
        self._failures = 0 if after is None else 1
        self._may_have_happened = after is not None and self._leaves_open(after)

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline."""
        return max(self._give_up_at - time.monotonic(), 0.0)

    def delay_after(self, failure: grpc.RpcError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            CrossmarginError: What the failure means, when another attempt cannot help or would come too late.
        """
        delay_s = backoff_s(self._failures)
        self._failures += 1
        if self._failures == MOST_ATTEMPTS or failure.code() not in RETRIABLE or delay_s >= self.remaining_s:
            raise self._error(failure) from None
        self._may_have_happened |= self._leaves_open(failure.code())
        return delay_s

    def _leaves_open(self, code: grpc.StatusCode) -> bool:
        return bool(self._request_id) and code is not grpc.StatusCode.RESOURCE_EXHAUSTED

    def _error(self, failure: grpc.RpcError) -> CrossmarginError:
        error = error_from_call(failure, request_id=self._request_id)
        if not (self._may_have_happened and isinstance(error, Busy)):
            return error
        # The last attempt did nothing. What became of the one before it, nobody knows.
        return Unavailable(
            f"an earlier attempt got no answer, so the outcome of request {self._request_id!r} may be unknown: retry with the same "
            f"request id ({error.message})",
            reason=error.reason,
            code=error.code,
            metadata=error.metadata,
            request_id=self._request_id,
        )


class Reconnections:
    """The connections of one stream, opened again when it breaks until nothing was heard for `patience_s` seconds."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._breaks = 0
        self._broken_at = time.monotonic()

    def heard(self) -> None:
        """Take note that the stream works."""
        self._breaks = 0

    def delay_after(self, failure: grpc.RpcError | None) -> float:
        """Return the seconds to wait before the stream is opened again.

        `failure` is None when the service closed the stream in good order, as it does when it is replaced.

        Raises:
            CrossmarginError: What the failure means, when opening it again cannot help or patience is over.
        """
        now = time.monotonic()
        if self._breaks == 0:
            self._broken_at = now
        delay_s = backoff_s(self._breaks)
        self._breaks += 1
        can_help = failure is None or failure.code() in RETRIABLE
        # A stream ends with its token. Opened again it shows the one that its source has now, which helps once or not at all.
        can_help |= self._breaks == 1 and failure is not None and failure.code() is grpc.StatusCode.UNAUTHENTICATED
        if not can_help or now - self._broken_at >= self._patience_s:
            raise _broken(failure) from None
        return delay_s


def _broken(failure: grpc.RpcError | None) -> CrossmarginError:
    if failure is None:
        return Unavailable("the service keeps closing the stream", reason="UNAVAILABLE", code=grpc.StatusCode.UNAVAILABLE)
    return error_from_call(failure)
