"""Where each set of risk parameters stands. Sets that are there are in force for every market, as they were."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The defaults are what a set stored by the release before means: it knows no other state than in force.
    op.execute(COLUMNS)
    # What is there is checked by the next migration, under a lock that lets readers go on.
    for name, check in CHECKS.items():
        op.execute(f"ALTER TABLE risk_parameters ADD CONSTRAINT {name} CHECK ({check}) NOT VALID")


def downgrade() -> None:
    # What was only proposed or approved would be taken for the set in force.
    op.execute("DELETE FROM risk_parameters WHERE active_from IS NULL")
    for column in ("state", "proposed_by", "proposed_at", "approved_by", "approved_at", "activated_by", "activated_at", "active_from"):
        op.execute(f"ALTER TABLE risk_parameters DROP COLUMN {column}")
    op.execute("ALTER TABLE risk_parameters DROP COLUMN ramp_days")


COLUMNS = """
ALTER TABLE risk_parameters
    ADD COLUMN state text NOT NULL DEFAULT 'active',
    ADD COLUMN proposed_by text NOT NULL DEFAULT 'crossmargin',
    ADD COLUMN proposed_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN approved_by text,
    ADD COLUMN approved_at timestamptz,
    ADD COLUMN activated_by text,
    ADD COLUMN activated_at timestamptz,
    ADD COLUMN active_from timestamptz DEFAULT '0001-01-01 00:00:00+00',
    ADD COLUMN ramp_days smallint NOT NULL DEFAULT 0
"""

CHECKS = {
    "risk_parameters_state_is_known": "state IN ('proposed', 'approved', 'active', 'retired')",
    "risk_parameters_active_has_a_time": "(state IN ('active', 'retired')) = (active_from IS NOT NULL)",
    "risk_parameters_four_eyes": "approved_by <> proposed_by",
    "risk_parameters_ramp_is_at_most_a_year": "ramp_days BETWEEN 0 AND 365",
}
