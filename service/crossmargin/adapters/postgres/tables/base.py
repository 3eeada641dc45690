"""What every table is made of: the schema's names, its exact numbers, its columns for names and moments."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    DateTime,
    MetaData,
    Numeric,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import DOMAIN

metadata: Final = MetaData(naming_convention={"pk": "%(table_name)s_pk", "ck": "%(table_name)s_%(constraint_name)s"})

# NaN is above every number in PostgreSQL, so it would pass any check such as quantity > 0 and then turn every sum into NaN.
LEDGER_DECIMAL: Final = DOMAIN(
    "ledger_decimal",
    Numeric(38, 18),
    constraint_name="ledger_decimal_is_finite",
    check=text("VALUE <> 'NaN'::numeric AND VALUE <> 'Infinity'::numeric AND VALUE <> '-Infinity'::numeric"),
    metadata=metadata,
)


def name(column: str, *, nullable: bool = False) -> Column[str]:
    """Return a column for a name."""
    # Names compare byte by byte, so that rows are locked and listed in the same order whatever the locale of the server.
    return Column(column, Text(collation="C"), nullable=nullable)


def moment(column: str) -> Column[object]:
    """Return a column for the moment at which a row was written."""
    return Column(column, DateTime(timezone=True), nullable=False, server_default=func.now())
