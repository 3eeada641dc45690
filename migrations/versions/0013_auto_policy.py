"""Lets an account ask for collateral policy AUTO.

It only allows more. A release before this one cannot read an account that has chosen it, so nobody should until every replica is new.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The table has a row for each choice that an account has made: it is read in milliseconds, and its old rows satisfy the new check.
    op.execute(f"-- squawk-ignore ban-drop-constraint\nALTER TABLE collateral_policy DROP {KNOWN}")
    op.execute(f"-- squawk-ignore constraint-missing-not-valid\nALTER TABLE collateral_policy ADD {KNOWN} CHECK ({POLICIES})")


def downgrade() -> None:
    op.execute(f"ALTER TABLE collateral_policy DROP {KNOWN}")
    op.execute(f"ALTER TABLE collateral_policy ADD {KNOWN} CHECK (policy IN ('risked', 'pledged'))")


POLICIES = "policy IN ('risked', 'pledged', 'auto')"
KNOWN = "CONSTRAINT collateral_policy_policy_is_known"
