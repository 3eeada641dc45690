"""Who may see and write which rows: the second wall, behind the application's own checks.

Three kinds of roles meet the tables. Whoever migrates owns them. `crossmargin_app` is what the service is: it owns nothing, sees the rows
of the clients that its transaction names, and can add to what is history but neither change it nor take it away. `crossmargin_reader`
sees everything and writes nothing: auditors, and people who look after the house. Login roles are granted one of the two.

`crossmargin migrate` raises the walls after the migrations, table by table, where they do not stand as they are described here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg import Connection, sql

APP: Final = "crossmargin_app"
READER: Final = "crossmargin_reader"
_CLIENTS: Final = "(SELECT current_setting('crossmargin.clients', true))"
_PRINCIPAL: Final = "(SELECT current_setting('crossmargin.principal', true))"
_WHOLE_HOUSE: Final = f"{_CLIENTS} = '*'"
# A query in brackets is asked once for a statement and not once for a row; the cast keeps it from being compared as a set of rows.
_LISTED: Final = "((SELECT string_to_array(current_setting('crossmargin.clients', true), ','))::text[])"
OF_CLIENT: Final = f"{_WHOLE_HOUSE} OR client_id = ANY {_LISTED}"
"""Of the clients that the transaction names, or of all when it is the house's."""
OF_HOUSE: Final = _WHOLE_HOUSE
OF_CALLER: Final = f"principal = {_PRINCIPAL}"
OF_ALL: Final = "true"
"""No client's: reference data, the market, statements' own lines."""
_OF_SCOPE: Final = f"{_WHOLE_HOUSE} OR substr(scope, 9) = ANY {_LISTED}"

_ADD: Final = ("SELECT", "INSERT")
_REPLACE: Final = ("SELECT", "INSERT", "UPDATE")


@dataclass(frozen=True, slots=True)
class Wall:
    """What the service may do with a table.

    Attributes:
        rows: SQL that is true of the rows it sees.
        writes: SQL that is true of the rows it may write; that of `rows` when empty.
        grants: Privileges on the table. Without UPDATE or DELETE it is history.
    """

    rows: str
    grants: tuple[str, ...]
    writes: str = ""


WALLS: Final[Mapping[str, Wall]] = {
    # Books
    "client": Wall(OF_CLIENT, _ADD),
    "account": Wall(OF_CLIENT, (*_ADD, "UPDATE (methodology)")),
    "account_head": Wall(OF_CLIENT, _REPLACE),
    "entry": Wall(OF_CLIENT, _ADD),
    "entry_details": Wall(OF_CLIENT, _ADD),
    "posting": Wall(OF_CLIENT, _ADD),
    # A projection; a trigger takes away what was settled.
    "unsettled_trade": Wall(OF_CLIENT, (*_ADD, "DELETE")),
    "position": Wall(OF_CLIENT, _REPLACE),
    "reservation": Wall(OF_CLIENT, _REPLACE),
    "collateral_policy": Wall(OF_CLIENT, _REPLACE),
    "exposure_limits": Wall(OF_CLIENT, _REPLACE),
    "account_band": Wall(OF_CLIENT, _REPLACE),
    # What is too much for its age is thinned out; every change of a band is kept.
    "margin_history": Wall(OF_CLIENT, (*_ADD, "DELETE")),
    "house_run": Wall(OF_ALL, (*_ADD, "UPDATE (is_thinned)", "DELETE")),
    "monitor_lead": Wall(OF_ALL, ("SELECT", "UPDATE")),
    "margin_call": Wall(OF_CLIENT, _REPLACE),
    "call_notice": Wall(OF_CLIENT, _ADD),
    "call_agreement": Wall(OF_CLIENT, _REPLACE),
    "liquidation": Wall(OF_CLIENT, (*_ADD, "UPDATE (state, ended_at, last_step, document)")),
    "liquidation_step": Wall(OF_CLIENT, _ADD),
    "pending_request": Wall(OF_CLIENT, (*_ADD, "UPDATE (state, ended_by, ended_at)")),
    # The house's own switch is shared by every request, so everybody sees it; who may not turn it cannot write it.
    "control": Wall(f"scope = 'house' OR {_OF_SCOPE}", _REPLACE, writes=_OF_SCOPE),
    # An answer belongs to whoever asked.
    "idempotency": Wall(OF_CALLER, (*_ADD, "UPDATE (response)")),
    # Statements of others: what one says of each client is its own.
    "statement": Wall(OF_ALL, _ADD),
    "statement_account": Wall(OF_CLIENT, _ADD),
    "comparison": Wall(OF_CLIENT, _ADD),
    "break_note": Wall(OF_CLIENT, _ADD),
    # What names all clients
    "anchor": Wall(OF_HOUSE, _ADD),
    "house_view": Wall(OF_HOUSE, _ADD),
    "audit_event": Wall(OF_HOUSE, _ADD),
    "breaker": Wall(OF_HOUSE, ("SELECT", "UPDATE")),
    # What is nobody's
    "counter": Wall(OF_ALL, _REPLACE),
    "instrument": Wall(OF_ALL, _ADD),
    "market_snapshot": Wall(OF_ALL, _ADD),
    "quote_source": Wall(OF_ALL, _REPLACE),
    "latest_quote": Wall(OF_ALL, _REPLACE),
    "factor_history": Wall(OF_ALL, _REPLACE),
    "factor_level": Wall(OF_ALL, _ADD),
    "scenario_set": Wall(OF_ALL, _ADD),
    "risk_parameters": Wall(OF_ALL, _REPLACE),
    "schema_compatibility": Wall(OF_ALL, ("SELECT",)),
    "alembic_version": Wall(OF_ALL, ("SELECT",)),
}


class RolesMissingError(Exception):
    """The roles cannot be made by whoever migrates; the message says what to run."""


def raise_walls(connection: Connection[tuple[Any, ...]]) -> None:
    """Make the roles and put every table's wall where it does not stand yet; `connection` commits by itself.

    Raises:
        RolesMissingError: The roles are not there and may not be made.
        psycopg.errors.LockNotAvailable: A table is in use; what was done so far stays, so try again.
    """
    _make_roles(connection)
    connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    connection.execute(f"GRANT USAGE ON SCHEMA public TO {APP}, {READER}")
    standing = dict(connection.execute(_STANDING).fetchall())
    for table, wall in WALLS.items():
        mark = _mark(table, wall)
        if table in standing and standing[table] != mark:
            with connection.transaction():
                for statement in _statements(table, wall, mark):
                    connection.execute(statement)
    for (function,) in connection.execute(_OPEN_FUNCTIONS).fetchall():
        connection.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC".encode())
        connection.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {APP}, {READER}".encode())


def wall_gaps(url: str) -> tuple[str, ...]:
    """Return why the walls do not hold for whoever connects there, in words that say what to do; empty when they hold.

    Raises:
        psycopg.OperationalError: Nobody answers there, or this user is not let in.
    """
    with psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
        user, is_super, bypasses, is_app, owned = connection.execute(_WHO, {"app": APP}).fetchone() or ("", True, True, False, 0)
        bare = [
            table for table, mark in connection.execute(_STANDING).fetchall() if table not in WALLS or mark != _mark(table, WALLS[table])
        ]
    gaps = []
    if is_super or bypasses:
        gaps.append(f"{user} is a superuser or bypasses row-level security; connect as a member of {APP}")
    elif owned:
        gaps.append(f"{user} owns {owned} tables, or is a member of who does; connect as a member of {APP} and migrate as the owner")
    elif not is_app:
        gaps.append(f"{user} is no member of {APP}; let an administrator run GRANT {APP} TO {user}")
    if bare:
        gaps.append(f"no wall as this release wants it around {', '.join(sorted(bare))}; run crossmargin migrate")
    return tuple(gaps)


def make_login(url: str, name: str, *, group: str = APP) -> None:
    """Make a role that can log in and is one of a group, if it is not there; for servers of our own."""
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(sql.Identifier(name), sql.Identifier(group)))


def _make_roles(connection: Connection[tuple[Any, ...]]) -> None:
    known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", ([APP, READER],))}
    for role in (APP, READER):
        if role in known:
            continue
        try:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue  # roles are the whole server's, and another database of it was migrated at the same moment
        except psycopg.errors.InsufficientPrivilege:
            raise RolesMissingError(
                f"the roles that the service works as are missing, and this user may not create them; let an administrator run "
                f"CREATE ROLE {APP} NOLOGIN; CREATE ROLE {READER} NOLOGIN; and migrate again"
            ) from None


def _statements(table: str, wall: Wall, mark: str) -> tuple[bytes, ...]:
    """Return what puts up the wall of a table. Names and rules are ours, so nothing of them is escaped."""
    columns = {grant for grant in wall.grants if grant.endswith(")")}
    policies = {
        "app": f"TO {APP} USING ({wall.rows}) WITH CHECK ({wall.writes or wall.rows})",
        "reader": f"FOR SELECT TO {READER} USING (true)",
    }
    # Whoever owns the tables is held by them as well (FORCE), and let in here: migrations, and the release before, which knows no scope.
    policies["owner"] = "TO CURRENT_USER USING (true) WITH CHECK (true)"
    written = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        *(f"DROP POLICY IF EXISTS {table}_{name} ON {table}" for name in policies),
        *(f"CREATE POLICY {table}_{name} ON {table} {rule}" for name, rule in policies.items()),
        f"REVOKE ALL ON {table} FROM PUBLIC, {APP}, {READER}",
        f"GRANT SELECT ON {table} TO {READER}",
        *(f"GRANT {grant} ON {table} TO {APP}" for grant in (*(set(wall.grants) - columns), *columns)),
        f"COMMENT ON POLICY {table}_app ON {table} IS '{mark}'",
    ]
    return tuple(statement.encode() for statement in written)


def _mark(table: str, wall: Wall) -> str:
    return sha256(repr((table, wall, APP, READER, 1)).encode()).hexdigest()[:16]


_STANDING: Final = """
SELECT c.relname, coalesce(obj_description(p.oid, 'pg_policy'), '')
FROM pg_class AS c
LEFT JOIN pg_policy AS p ON p.polrelid = c.oid AND p.polname = c.relname || '_app' AND c.relrowsecurity AND c.relforcerowsecurity
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
"""
_OPEN_FUNCTIONS: Final = """
SELECT p.oid::regprocedure::text FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND pg_has_role(p.proowner, 'USAGE')
    AND (has_function_privilege('public', p.oid, 'EXECUTE') OR NOT has_function_privilege('crossmargin_app', p.oid, 'EXECUTE'))
"""
_WHO: Final = """
SELECT r.rolname, r.rolsuper, r.rolbypassrls,
    EXISTS (SELECT FROM pg_roles AS app WHERE app.rolname = %(app)s AND pg_has_role(r.oid, app.oid, 'USAGE')),
    (SELECT count(*) FROM pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND pg_has_role(r.oid, c.relowner, 'USAGE'))
FROM pg_roles AS r WHERE r.rolname = current_user
"""
