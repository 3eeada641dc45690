"""What makes a write happen once, and what caches compare."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
)

from crossmargin.adapters.postgres.tables.base import metadata, moment, name

# A null response is seen only by the transaction that reserved the key: it stores one before it commits.
idempotency: Final = Table(
    "idempotency",
    metadata,
    name("principal"),
    name("method"),
    name("key"),
    Column("request_hash", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=True),
    moment("created_at"),
    PrimaryKeyConstraint("principal", "method", "key"),
)

# One row each for what caches compare. The row is locked until commit, so numbers are handed out in the order of commits.
counter: Final = Table(
    "counter",
    metadata,
    name("name"),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("name"),
)
