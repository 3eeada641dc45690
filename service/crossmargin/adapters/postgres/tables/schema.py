"""Which releases can work on the schema."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from crossmargin.adapters.postgres.tables.base import metadata, name

schema_compatibility: Final = Table(
    "schema_compatibility",
    metadata,
    name("scope"),
    Column("minimum_revision", Text, nullable=False),
    PrimaryKeyConstraint("scope"),
    CheckConstraint("scope = 'schema'", name="is_one_row"),
)
