"""The clocks of replicas jump by hours and disagree: books, deadlines and the ends of orders do not notice."""

from __future__ import annotations

import asyncio
import glob
from datetime import timedelta
from typing import Final

import psycopg

from crossmargin_client import PreconditionFailed, account_name, exposure_limits, order
from tests.faults.bench import Bench
from tests.faults.orders import DEPOSIT, LIMIT_CONTRACTS, PERPETUAL, PRICE, SET_UP
from tests.faults.rig import Result, Rig, Setup
from tests.faults.two_persons import set_limits
from tests.faults.workload import EXECUTED

_LIBRARIES: Final = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)
_JUMPS: Final = ("+1h", "-1h", "-2h", "+30d", "+0")
_BETWEEN: Final = 60
_LIFETIME_S: Final = 3
"""Of an order that uses a whole limit up: so long nothing else fits, and from then on something does."""
# By the clock of the database. A second order fits only when the time of the first is over, and an end is written down only after it.
_EXPIRY: Final = """
SELECT count(*) FILTER (WHERE kind = 'immediate'),
    count(*) FILTER (WHERE kind = 'immediate' AND expires_at <> reserved_at + lifetime_s * interval '1 second'),
    count(*) FILTER (WHERE kind = 'immediate' AND reserved_at < before),
    max(abs(extract(epoch FROM reserved_at - recorded_at)))
FROM (
    SELECT r.*, e.recorded_at, lag(r.expires_at) OVER (PARTITION BY r.client_id, r.account_id ORDER BY r.sequence) AS before
    FROM reservation AS r JOIN entry AS e USING (client_id, account_id, sequence)
    WHERE r.kind = 'immediate'
) AS one
"""
_SPREAD: Final = "SELECT extract(epoch FROM max(effective_at) - min(effective_at)) FROM entry WHERE kind = 'collateral policy'"


async def run_clock_jumps(bench: Bench) -> Result:
    """Return what became of replicas whose wall clocks jump one by one, and then together."""
    library = next((path for pattern in _LIBRARIES for path in sorted(glob.glob(pattern))), None)  # noqa: PTH207 - a pattern from the root
    if library is None:
        return Result("clock-jumps", findings=["not run: libfaketime is not installed here: apt-get install faketime"])
    variables = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": "{folder}/{name}.clock",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }
    return await bench.run("clock-jumps", _jump, Setup(variables=variables, limited_count=4, seed=bench.seed))


async def _jump(rig: Rig) -> None:
    # Beside the callers' accounts, so that nothing else uses its limit.
    account = await _one_account(rig)
    refused = 0
    for jump in _JUMPS:
        for replica in rig.replicas:
            (rig.folder / f"{replica.name}.clock").write_text(jump)
            # The library looks at the file once a second.
            await asyncio.sleep(1.1)
            await rig.history.progress(_BETWEEN)
            if not await rig.clients[replica.name].is_serving():
                rig.findings.append(f"{replica.name} does not serve with its clock at {jump}")
            refused += await _use_the_limit_twice(rig, replica.name, account)
    async with await psycopg.AsyncConnection.connect(rig.url) as connection:
        row = await (await connection.execute(_SPREAD)).fetchone()
    if row is None or row[0] is None or row[0] < 86400:
        rig.findings.append("no clock jumped: what replicas stamped does not differ")
    await _check_expiry(rig, refused)
    rig.remarks.append(f"clocks at {', '.join(_JUMPS)} of the true time, replica by replica")


async def _one_account(rig: Rig) -> str:
    client, name = next(iter(rig.clients.values())), account_name("jumps", "core")
    await client.create_client("jumps", "A client whose orders expire")
    await client.create_account(name, "Core")
    await client.deposit(name, "USD", DEPOSIT, received_at=EXECUTED, reference=SET_UP)
    await set_limits(client, exposure_limits(name, gross=LIMIT_CONTRACTS * PRICE))
    return name


async def _use_the_limit_twice(rig: Rig, replica: str, account: str) -> int:
    """Reserve a whole limit for a few seconds, again at once, and once more when they are over; return how often that was refused."""
    refused = await _reserve(rig, replica, account) + await _reserve(rig, replica, account)
    await asyncio.sleep(_LIFETIME_S)
    return refused + await _reserve(rig, replica, account)


async def _reserve(rig: Rig, replica: str, account: str) -> bool:
    """Return whether an order for the whole limit was refused, for that reason and no other."""
    lifetime = timedelta(seconds=_LIFETIME_S)
    try:
        wanted = order(PERPETUAL, LIMIT_CONTRACTS, PRICE, lifetime=lifetime, immediate=True, reference=SET_UP)
        await rig.clients[replica].reserve_margin(account, wanted)
    except PreconditionFailed as error:
        if error.reason != "LIMIT_EXCEEDED":
            rig.findings.append(f"an order while clocks jump: {error}")
        return True
    return False


async def _check_expiry(rig: Rig, refused: int) -> None:
    async with await psycopg.AsyncConnection.connect(rig.url) as connection:
        row = await (await connection.execute(_EXPIRY)).fetchone()
    approved, of_another_length, too_early, off_s = row
    said = f"{approved} orders that expire after {_LIFETIME_S} s approved and {refused} refused while one before them was open"
    rig.remarks.append(f"{said}; none counted longer or shorter by the database's clock")
    if of_another_length or too_early or float(off_s) > _LIFETIME_S:
        rig.findings.append(f"{said}: {of_another_length} with another end, {too_early} before the end of the one before, {off_s} s off")
    if not refused or approved < 2 * len(_JUMPS):
        rig.findings.append(f"{said}: expected at least one of each at every jump")
