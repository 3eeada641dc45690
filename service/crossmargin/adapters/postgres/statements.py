"""Statements composed from the tables with SQLAlchemy Core, and compiled once for the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

_DIALECT: Final = psycopg.dialect()  # type: ignore[no-untyped-call]  # published without a signature


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with named placeholders, and the values of those that never change."""

    sql: bytes
    constants: Mapping[str, Any]
    names: frozenset[str]

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all placeholders; `given` must name exactly those that are open."""
        if self.names != given.keys():
            raise TypeError(f"the statement takes {sorted(self.names)}; it was given {sorted(given)}")
        return {**self.constants, **given}


def compiled(statement: Executable) -> Statement:
    """Return a statement ready to run; its open bind parameters are filled in at each run."""
    if not isinstance(statement, ClauseElement):
        raise TypeError(f"{statement!r} cannot be compiled")
    done = statement.compile(dialect=_DIALECT)
    is_open = {name: bind.required for name, bind in done.binds.items()}  # type: ignore[attr-defined]  # SQL compilers have it
    return Statement(
        sql=str(done).encode(),
        constants={name: value for name, value in done.params.items() if not is_open[name]},
        names=frozenset(name for name, open_ in is_open.items() if open_),
    )
