"""Instruments."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from crossmargin.adapters.postgres.tables.base import metadata, moment, name

instrument: Final = Table(
    "instrument",
    metadata,
    name("instrument_id"),
    Column("kind", Text, nullable=False),
    Column("terms", JSONB, nullable=False),
    Column("quantity_places", SmallInteger, nullable=False),
    Column("collateral_class", Text, nullable=True),
    Column("description", Text, nullable=False),
    moment("created_at"),
    PrimaryKeyConstraint("instrument_id"),
)
