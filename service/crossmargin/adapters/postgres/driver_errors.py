"""What a failure of the driver means, and what of it a caller is told. No text of the driver's leaves this package."""

from __future__ import annotations

from enum import Enum, unique
from typing import Final

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from crossmargin.domain.errors import DomainError, Reason


@unique
class Fault(Enum):
    """What went wrong, by what can be done about it."""

    CONFLICT = "two transactions could not both go on; this one was undone and may be tried again as a whole"
    BUSY = "no connection or lock was free in time; nothing happened"
    LOST = "the connection broke; whatever was under way may or may not have happened"
    DOWN = "the server cannot write at present: disk full, read-only, out of memory"
    OVERFLOW = "an amount does not fit the ledger"
    DEFECT = "the statement was refused; the mistake is ours"


class StorageDefectError(Exception):
    """The database refused what we asked of it; the cause is in the log, not in the message."""


_BY_STATE: Final = {
    "40001": Fault.CONFLICT,
    "40P01": Fault.CONFLICT,
    "55P03": Fault.BUSY,
    "57014": Fault.BUSY,
    "22003": Fault.OVERFLOW,
    "25006": Fault.DOWN,
    "25P03": Fault.LOST,
    "57P01": Fault.LOST,
    "57P02": Fault.LOST,
    "57P03": Fault.LOST,
    "57P05": Fault.LOST,
}
_BY_CLASS: Final = {"08": Fault.LOST, "53": Fault.DOWN, "58": Fault.DOWN}


def fault_of(error: psycopg.Error) -> Fault:
    """Return what a failure means, by its SQLSTATE. A failure without one was found by the client: the line is gone."""
    if isinstance(error, PoolTimeout):
        return Fault.BUSY
    if isinstance(error, PoolClosed):
        return Fault.DEFECT
    if error.sqlstate is None:
        return Fault.LOST if isinstance(error, psycopg.OperationalError) else Fault.DEFECT
    return _BY_STATE.get(error.sqlstate) or _BY_CLASS.get(error.sqlstate[:2], Fault.DEFECT)


def service_busy() -> DomainError:
    """Return the error for a request that found no place; it can be sent again without harm."""
    return DomainError(Reason.SERVICE_BUSY, "the service is busy and nothing was done; try again shortly")


def storage_unavailable() -> DomainError:
    """Return the error for an outcome that could not be learned."""
    return DomainError(
        Reason.STORAGE_UNAVAILABLE,
        "the storage did not answer, so the outcome may be unknown; retry with the same request id, which is never booked twice",
    )


def caller_error(error: psycopg.Error) -> Exception:
    """Return what the caller of a failed statement is told."""
    match fault_of(error):
        case Fault.BUSY | Fault.CONFLICT:
            return service_busy()
        case Fault.LOST | Fault.DOWN:
            return storage_unavailable()
        case Fault.OVERFLOW:
            return DomainError(Reason.INVALID_DECIMAL, "a position would be 1e20 or more, which the ledger cannot hold; nothing was booked")
        case Fault.DEFECT:
            return StorageDefectError(f"the storage refused a statement (SQLSTATE {error.sqlstate})")
