"""The oldest revision that a release must know to work on this schema.

A migration that takes away what earlier releases use raises it in the same transaction; one that only adds leaves it alone.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(SCHEMA_COMPATIBILITY)
    op.execute("INSERT INTO schema_compatibility (scope, minimum_revision) VALUES ('schema', '0003')")


def downgrade() -> None:
    op.execute("DROP TABLE schema_compatibility")


SCHEMA_COMPATIBILITY = """
CREATE TABLE schema_compatibility (
    scope text COLLATE "C" NOT NULL,
    minimum_revision text NOT NULL,
    CONSTRAINT schema_compatibility_pk PRIMARY KEY (scope),
    CONSTRAINT schema_compatibility_is_one_row CHECK (scope = 'schema')
)
"""
