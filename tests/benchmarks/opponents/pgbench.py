"""pgbench on the statements of a write, made one after the other by a client in C: what a write costs when nothing but the database works.

It connects as the superuser, past the walls, and neither reads what a decision needs nor hashes anything: it is never slower for that.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.furniture import CLIENT
from tests.benchmarks.service_rig import CALLER_CORE, on_core

_LOCK: Final = """
SELECT sequence, chain_hash FROM account_head WHERE client_id = '{client}' AND account_id = {account} FOR UPDATE;
"""
_ENTRY: Final = """
WITH moved AS (
    UPDATE account_head SET sequence = sequence + 1 WHERE client_id = '{client}' AND account_id = {account}
    RETURNING client_id, account_id, sequence, chain_hash
)
INSERT INTO entry (client_id, account_id, sequence, kind, effective_at, reference, previous_hash, chain_hash)
SELECT client_id, account_id, sequence, '{kind}', now(), 'by hand', chain_hash, chain_hash FROM moved;
"""
_KEY: Final = """
INSERT INTO idempotency (principal, method, key, request_hash, response)
VALUES ('hand', 'RecordTrades', :key::text, '\\x00', '\\x00');
"""
_POSTINGS: Final = """
INSERT INTO posting (client_id, account_id, sequence, leg, ledger_account, book_id, instrument_id, quantity, cost)
SELECT client_id, account_id, sequence, leg, ledger_account, 'main', '{instrument}', quantity, cost
FROM account_head, (VALUES (1, {account}, 1, 60000), (2, 'street', -1, -60000)) AS legs (leg, ledger_account, quantity, cost)
WHERE client_id = '{client}' AND account_id = {account};
"""
_POSITION: Final = """
INSERT INTO position AS held (client_id, account_id, book_id, instrument_id, quantity, cost)
VALUES ('{client}', {account}, 'main', '{instrument}', 1, 60000)
ON CONFLICT (client_id, account_id, book_id, instrument_id)
DO UPDATE SET quantity = held.quantity + excluded.quantity, cost = held.cost + excluded.cost;
"""


@dataclass(frozen=True, slots=True)
class Timed:
    """Median seconds of a transaction, and how many a second there were."""

    p50_s: float
    per_s: float


def decision(account: str) -> str:
    """Return the script of a decision: lock the account, insert its entry, commit."""
    return "BEGIN;" + (_LOCK + _ENTRY).format(client=CLIENT, account=f"'{account}'", kind="reservation") + "COMMIT;"


def trade(accounts: int, instrument: str) -> str:
    """Return the script of a trade on one of the accounts h0, h1, ... : key, lock, entry, its two legs, position, commit."""
    words = (_KEY + _LOCK + _ENTRY + _POSTINGS + _POSITION).format(
        client=CLIENT, account="'h' || :number::text", instrument=instrument, kind="trade"
    )
    return f"\\set key random(1, 9000000000000000000)\n\\set number random(0, {accounts - 1})\nBEGIN;{words}COMMIT;"


def timed(script: str, url: str, *, clients: int = 1, seconds: int = 2) -> Timed:
    """Run a script over and over with so many clients at once, prepared, and return how fast that went."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.sql").write_text(script)
        command = [
            *(*on_core(CALLER_CORE), binary("pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds)),
            *("-f", str(folder / "script.sql"), "--log", f"--log-prefix={folder / 'log'}", url),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode != 0 or "aborted" in done.stderr:
            raise RuntimeError(f"pgbench failed: {done.stderr[-1000:]}")
        took = [int(line.split()[2]) for log in folder.glob("log.*") for line in log.read_text().splitlines()]
    if not took:
        raise RuntimeError(f"pgbench made no transaction in {seconds} s: {done.stderr[-1000:]}")
    return Timed(statistics.median(took) / 1e6, len(took) / seconds)


def binary(name: str) -> str:
    """Return a program that comes with PostgreSQL."""
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed; it comes with PostgreSQL's clients (Debian: postgresql-client)")
    return found
