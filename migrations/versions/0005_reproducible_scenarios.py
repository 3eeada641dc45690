"""Every version of the factor history, and what each scenario set was built from."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("state_is_known", "active_has_a_time", "four_eyes", "ramp_is_at_most_a_year"):
        op.execute(f"ALTER TABLE risk_parameters VALIDATE CONSTRAINT risk_parameters_{name}")
    for statement in (
        *(FACTOR_LEVEL, KEEP_LEVELS, IMPORTED_TRIGGER, REPLACED_TRIGGER, LEVELS_SO_FAR),
        *(SCENARIO_SET, REFUSE_CHANGE, LEVEL_TRIGGER, SCENARIO_TRIGGER),
    ):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER factor_history_replaced ON factor_history")
    op.execute("DROP TRIGGER factor_history_imported ON factor_history")
    op.execute("DROP FUNCTION keep_factor_levels")
    op.execute("DROP TABLE scenario_set")
    op.execute("DROP TABLE factor_level")
    op.execute("DROP FUNCTION refuse_evidence_change")


FACTOR_LEVEL = """
CREATE TABLE factor_level (
    factor text COLLATE "C" NOT NULL,
    date date NOT NULL,
    version bigint NOT NULL,
    level ledger_decimal NOT NULL,
    CONSTRAINT factor_level_pk PRIMARY KEY (factor, date, version)
)
"""

# An import advances the counter before it writes, so the value that its own transaction sees is its version.
KEEP_LEVELS = """
CREATE FUNCTION keep_factor_levels() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO factor_level (factor, date, version, level)
        SELECT i.factor, i.date, c.value, i.level
        FROM imported AS i CROSS JOIN counter AS c
        WHERE c.name = 'history';
    ELSE
        INSERT INTO factor_level (factor, date, version, level)
        SELECT i.factor, i.date, c.value, i.level
        FROM imported AS i JOIN replaced AS r ON r.factor = i.factor AND r.date = i.date CROSS JOIN counter AS c
        WHERE c.name = 'history' AND i.level <> r.level;
    END IF;
    RETURN NULL;
END
$$
"""

IMPORTED_TRIGGER = """
CREATE TRIGGER factor_history_imported AFTER INSERT ON factor_history
REFERENCING NEW TABLE AS imported FOR EACH STATEMENT EXECUTE FUNCTION keep_factor_levels()
"""

REPLACED_TRIGGER = """
CREATE TRIGGER factor_history_replaced AFTER UPDATE ON factor_history
REFERENCING OLD TABLE AS replaced NEW TABLE AS imported FOR EACH STATEMENT EXECUTE FUNCTION keep_factor_levels()
"""

# The triggers' lock keeps imports out until this commits, so no level is missed and none is kept twice. Readers go on.
LEVELS_SO_FAR = """
INSERT INTO factor_level (factor, date, version, level)
SELECT h.factor, h.date, c.value, h.level
FROM factor_history AS h CROSS JOIN counter AS c
WHERE c.name = 'history'
"""

SCENARIO_SET = """
CREATE TABLE scenario_set (
    content_hash text COLLATE "C" NOT NULL,
    history_version bigint NOT NULL,
    parameter_set_id text COLLATE "C" NOT NULL,
    factors text[] NOT NULL,
    CONSTRAINT scenario_set_pk PRIMARY KEY (content_hash)
)
"""

REFUSE_CHANGE = """
CREATE FUNCTION refuse_evidence_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what margin was computed from is never changed'
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END
$$
"""

LEVEL_TRIGGER = """
CREATE TRIGGER factor_level_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON factor_level
FOR EACH STATEMENT EXECUTE FUNCTION refuse_evidence_change()
"""

SCENARIO_TRIGGER = """
CREATE TRIGGER scenario_set_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON scenario_set
FOR EACH STATEMENT EXECUTE FUNCTION refuse_evidence_change()
"""
