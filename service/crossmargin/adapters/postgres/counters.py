"""Numbers that grow with every change of what caches hold."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Text, bindparam, select, update

from crossmargin.adapters.postgres.database import Connection, Database
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import counter

_IS_COUNTER: Final = counter.c.name == bindparam("counter_name", type_=Text)
_VALUE: Final = compiled(select(counter.c.value).where(_IS_COUNTER))
_ADVANCE: Final = compiled(update(counter).where(_IS_COUNTER).values(value=counter.c.value + 1).returning(counter.c.value))


async def counter_value(database: Database, name: str) -> int:
    """Return a counter's value as of the last commit that advanced it."""
    row = await database.row(_VALUE, counter_name=name)
    if row is None:
        raise LookupError(f"the database has no counter {name}")
    return int(row["value"])


async def advance(connection: Connection, name: str) -> int:
    """Return a counter's next value. Others who advance it wait for this transaction, so values follow the order of commits."""
    row = await (await connection.execute(_ADVANCE.sql, _ADVANCE.values({"counter_name": name}))).fetchone()
    if row is None:
        raise LookupError(f"the database has no counter {name}")
    return int(row["value"])
