"""Statements as the driver takes them: composed from the tables with SQLAlchemy Core and compiled once, or calls of functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


class Question:
    """A call of a function that raises the walls itself before it reads: its first place is for whom it is (see `row_scope`).

    One statement in one message, with its places in order, and columns whose names nobody has to ask for with every answer.

    Args:
        function: Name of the function. places: Of its arguments after the first, as SQL. columns: What it returns, in any order.
    """

    def __init__(self, function: bytes, places: bytes, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self.sql: Final = b"SELECT %b FROM %b(%%s, %b)" % (", ".join(columns).encode(), function, places)

    def rows(self, _cursor: object) -> Callable[[Sequence[Any]], dict[str, Any]]:
        """Return what makes a row of its values; a row factory of the driver's."""
        return lambda values: dict(zip(self._columns, values, strict=True))


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
