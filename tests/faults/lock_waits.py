"""How long callers waited for locks on tables, as the database itself measures it: nothing but a change of the schema makes them wait."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.faulty_postgres import FaultyPostgres

SHORTEST_MS: Final = 10
"""Waits shorter than this are not logged; PostgreSQL looks for deadlocks when it logs one."""
_SETTINGS: Final = {"log_lock_waits": "on", "deadlock_timeout": f"{SHORTEST_MS}ms"}
_ACQUIRED: Final = re.compile(r"acquired (?:AccessShare|RowShare|RowExclusive)Lock on relation \d+ of database \d+ after ([\d.]+) ms")
"""Of readers and writers. A migration's own waits are for stronger locks."""


@dataclass(frozen=True)
class LockWaits:
    """Reads waits for tables from the server's log, from where it stood when this was made."""

    log: Path
    offset: int

    @classmethod
    def from_now_on(cls, postgres: FaultyPostgres) -> LockWaits:
        """Return waits that end from now on."""
        return cls(postgres.log_path, postgres.log_path.stat().st_size)

    def longest_s(self) -> float:
        """Return the longest wait so far in seconds; 0 when none was long enough to be logged."""
        with self.log.open("rb") as log:
            log.seek(self.offset)
            text = log.read().decode(errors="replace")
        return max((float(found) / 1000 for found in _ACQUIRED.findall(text)), default=0.0)


@contextlib.contextmanager
def logged_lock_waits(postgres: FaultyPostgres) -> Iterator[None]:
    """Have the server log how long every session waits for locks, sessions that are open already included."""
    try:
        for name, value in _SETTINGS.items():
            postgres.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        postgres.execute("SELECT pg_reload_conf()")
        yield
    finally:
        for name in _SETTINGS:
            postgres.execute(f"ALTER SYSTEM RESET {name}")
        postgres.execute("SELECT pg_reload_conf()")
