"""The write path: reserve the key, lock the accounts, decide, write, commit, and only then answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import psycopg

from crossmargin.adapters.postgres.database import Connection, Database
from crossmargin.adapters.postgres.driver_errors import Fault, caller_error, fault_of, service_busy, storage_unavailable
from crossmargin.adapters.postgres.records import store_record
from crossmargin.domain.account import AccountHead, AccountMode, AccountStatus
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.usecases.ports import Decide, Decision, WriteOutcome, WriteRequest
from crossmargin.usecases.storage_errors import halted, request_id_reused, unknown_account

CONFLICT_TRIES: Final = 4
WRITE_DEADLINE_S: Final = 8.0
DECIDE_LIMIT_S: Final = 2.0
"""Below the server's limit for an idle transaction, so that we give up in words before it does without."""
_BROKEN_CHAIN: Final = "CM001"
_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.3

_BEGIN_WRITE: Final = b"SELECT * FROM begin_write(%s, %s, %s, %s, %s, %s::text[], %s::text[])"
_FINISH_WRITE: Final = b"""
SELECT finish_write(
    %s, %s, %s, %s,
    %s::text[], %s::text[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::bytea[], %s::bytea[],
    %s::text[], %s::text[], %s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::numeric[], %s::numeric[]
)
"""


class PostgresWriter:
    """Writes that are decided at most once, whatever breaks in between."""

    def __init__(self, database: Database, *, deadline_s: float = WRITE_DEADLINE_S) -> None:
        self._database = database
        self._deadline_s = deadline_s

    async def write(self, request: WriteRequest, decide: Decide) -> WriteOutcome:
        """See `Writer.write`. A caller that goes away does not stop the write half-way."""
        return await self._database.shielded(self._write_until_known(request, decide))

    async def _write_until_known(self, request: WriteRequest, decide: Decide) -> WriteOutcome:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._deadline_s
        conflicts = 0
        is_unknown = False
        pause_s = _PAUSE_S
        while True:
            try:
                return await self._write_once(request, decide)
            except psycopg.Error as error:
                fault = Fault.LOST if isinstance(error.__cause__, _CommitFailure) else fault_of(error)
                conflicts += fault is Fault.CONFLICT
                is_unknown |= fault is Fault.LOST
                if not _may_try_again(fault, conflicts, is_unknown=is_unknown):
                    raise caller_error(error) from error
            if loop.time() + pause_s > deadline:
                raise storage_unavailable() if is_unknown else service_busy()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
