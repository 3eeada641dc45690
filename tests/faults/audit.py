"""Somebody with every right on the database changes the ledger: the verifier tells each change, and tells none that is not."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from crossmargin.domain.account import AccountHead, AccountMode, AccountStatus
from crossmargin.domain.book import EntryKind, NewEntry, Posting, append_to_chain
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from tests.faults.bench import Bench
from tests.faults.injectors import kills
from tests.faults.replicas import ROOT
from tests.faults.rig import Result, Rig, Setup
from tests.integration.command_line import environment

_ANCHORED_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.1
_AWAY: Final = 10**9
"""A sequence that no account has."""
# The account with the longest ledger, and an entry in the middle of it.
_VICTIM: Final = "SELECT client_id, account_id, sequence FROM account_head ORDER BY sequence DESC LIMIT 1"


async def run_audit(bench: Bench) -> Result:
    """Return what the verifier said of a ledger that was written under kills, as it is and after each kind of tampering."""
    key, anchors = bench.folder / "anchor-key.pem", bench.folder / "anchors.jsonl"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    anchors.unlink(missing_ok=True)
    flags = ("--monitor", "--anchor-key-file", str(key), "--anchor-file", str(anchors), "--anchor-interval-s", "0.5")
    setup = Setup(flags=flags, account_count=6, afterwards=lambda rig: _tamper_and_verify(rig, anchors), seed=bench.seed)
    return await bench.run("audit", kills(4), setup)


async def _tamper_and_verify(rig: Rig, anchors: Path) -> None:
    await _wait_for_anchor(rig, anchors)
    for replica in rig.replicas:
        await replica.stop()
    if said := await _verify(rig.url, anchors):
        rig.findings.append(f"the verifier finds fault with a sound ledger: {said}")
    name = conninfo_to_dict(rig.url)["dbname"]
    for tamper in TAMPERINGS:
        copy = f"{name}_tampered"
        rig.postgres.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")
        with psycopg.connect(rig.postgres.url_of(copy)) as connection:
            connection.execute("SET session_replication_role = replica")
            tamper(connection)
        if not await _verify(rig.postgres.url_of(copy), anchors):
            rig.findings.append(f"the verifier does not see {tamper.__name__.replace('_', ' ')}")
        rig.postgres.execute(f"DROP DATABASE {copy}")
    rig.remarks.append(f"{len(TAMPERINGS)} kinds of tampering, each told by the verifier: {', '.join(_name(one) for one in TAMPERINGS)}")


async def _wait_for_anchor(rig: Rig, anchors: Path) -> None:
    """Return once an anchor covers every entry."""
    (entries,) = rig.postgres.execute("SELECT count(*) FROM entry", conninfo_to_dict(rig.url)["dbname"])[0]
    deadline = time.monotonic() + _ANCHORED_WITHIN_S
    while _anchored_entries(anchors) < entries:
        if time.monotonic() > deadline:
            rig.findings.append(f"{entries} entries are not anchored {_ANCHORED_WITHIN_S:.0f} s after the last was booked")
            return
        await asyncio.sleep(_POLL_S)


def _anchored_entries(anchors: Path) -> int:
    lines = anchors.read_text().splitlines(keepends=True) if anchors.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return whole[-1]["entries"] if whole else 0


async def _verify(url: str, anchors: Path) -> str:
    """Return what the verifier finds; empty when it finds nothing."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crossmargin", "verify-ledger", "--database-url", url, "--anchors", str(anchors), "--json"),
        cwd=ROOT,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complained = await process.communicate()
    if process.returncode == 0:
        return ""
    if not told:
        raise RuntimeError(f"the verifier ended with {process.returncode}: {complained.decode()[-400:]}")
    return str([(finding["kind"], finding["account"]) for finding in json.loads(told)["findings"][:3]])


# What an intruder does. Each leaves the rest as consistent as it can.


def an_amount_that_was_changed(connection: psycopg.Connection) -> None:
    client, account, last = connection.execute(_VICTIM).fetchone()
    connection.execute(
        "UPDATE posting SET quantity = quantity * 2 WHERE (client_id, account_id, sequence) = (%s, %s, %s)", [client, account, last // 2]
    )
    _rebuild_positions(connection)


def an_entry_taken_out_of_the_middle(connection: psycopg.Connection) -> None:
    client, account, last = connection.execute(_VICTIM).fetchone()
    _delete(connection, client, account, last // 2, last // 2)
    _rebuild_positions(connection)


def the_last_entries_cut_off(connection: psycopg.Connection) -> None:
    client, account, last = connection.execute(_VICTIM).fetchone()
    _delete(connection, client, account, last - 2, last)
    connection.execute(
        "UPDATE account_head AS h SET sequence = e.sequence, chain_hash = e.chain_hash FROM entry AS e "
        "WHERE (h.client_id, h.account_id) = (%s, %s) AND (e.client_id, e.account_id, e.sequence) = (%s, %s, %s)",
        [client, account, client, account, last - 3],
    )
    _rebuild_positions(connection)


def two_entries_that_changed_places(connection: psycopg.Connection) -> None:
    client, account, last = connection.execute(_VICTIM).fetchone()
    # Both are moved out of the way first, so that no two have the same place at any time.
    moves = (({last - 1: _AWAY, last - 2: _AWAY + 1}), ({_AWAY: last - 2, _AWAY + 1: last - 1}))
    for table in ("entry", "posting"):
        update = sql.SQL("UPDATE {} SET sequence = %s WHERE (client_id, account_id, sequence) = (%s, %s, %s)").format(sql.Identifier(table))
        for move in moves:
            for source, destination in move.items():
                connection.execute(update, [destination, client, account, source])


def another_last_entry_with_a_proper_hash(connection: psycopg.Connection) -> None:
    """Write the last entry anew with twice the amounts, hashed as the service hashes: a fork that is sound in itself."""
    client, account, last = connection.execute(_VICTIM).fetchone()
    at = [client, account, last]
    kind, effective_at, reference, previous = connection.execute(
        "SELECT kind, effective_at, reference, previous_hash FROM entry WHERE (client_id, account_id, sequence) = (%s, %s, %s)", at
    ).fetchone()
    legs = connection.execute(
        "SELECT ledger_account, book_id, instrument_id, quantity::numeric * 2, cost::numeric FROM posting "
        "WHERE (client_id, account_id, sequence) = (%s, %s, %s) ORDER BY leg",
        at,
    ).fetchall()
    ref = AccountRef(ClientId(client), AccountId(account))
    postings = tuple(Posting(side, BookId(book), InstrumentId(name), quantity, cost) for side, book, name, quantity, cost in legs)
    new = NewEntry(ref, EntryKind(kind), effective_at, reference, postings)
    head = AccountHead(ref, AccountMode.CROSS, AccountStatus.OPEN, sequence=last - 1, chain_hash=previous)
    (forged,) = append_to_chain(head, (replace(new, reference=f"{reference}-forged"),))
    connection.execute(
        "UPDATE entry SET chain_hash = %s, reference = %s WHERE (client_id, account_id, sequence) = (%s, %s, %s)",
        [forged.chain_hash, forged.entry.reference, *at],
    )
    connection.execute("UPDATE posting SET quantity = quantity * 2 WHERE (client_id, account_id, sequence) = (%s, %s, %s)", at)
    connection.execute(
        "UPDATE account_head SET chain_hash = %s WHERE (client_id, account_id) = (%s, %s)", [forged.chain_hash, client, account]
    )
    _rebuild_positions(connection)


def an_account_that_is_gone(connection: psycopg.Connection) -> None:
    client, account, last = connection.execute(_VICTIM).fetchone()
    _delete(connection, client, account, 1, last)
    for table in ("position", "collateral_policy", "account_head", "account"):
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE (client_id, account_id) = (%s, %s)").format(sql.Identifier(table)),
            [client, account],
        )


TAMPERINGS: Final[tuple[Callable[[psycopg.Connection], None], ...]] = (
    an_amount_that_was_changed,
    an_entry_taken_out_of_the_middle,
    the_last_entries_cut_off,
    two_entries_that_changed_places,
    another_last_entry_with_a_proper_hash,
    an_account_that_is_gone,
)


def _name(tampering: Callable[..., object]) -> str:
    return tampering.__name__.replace("_", " ")


def _delete(connection: psycopg.Connection, client: str, account: str, first: int, last: int) -> None:
    for table in ("posting", "entry"):
        statement = sql.SQL("DELETE FROM {} WHERE (client_id, account_id) = (%s, %s) AND sequence BETWEEN %s AND %s")
        connection.execute(statement.format(sql.Identifier(table)), [client, account, first, last])


def _rebuild_positions(connection: psycopg.Connection) -> None:
    connection.execute("DELETE FROM position")
    connection.execute(
        "INSERT INTO position (client_id, account_id, book_id, instrument_id, quantity, cost) "
        "SELECT client_id, account_id, book_id, instrument_id, sum(quantity::numeric), sum(cost::numeric) FROM posting "
        "WHERE ledger_account = account_id GROUP BY 1, 2, 3, 4"
    )
