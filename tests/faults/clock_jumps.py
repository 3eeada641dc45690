"""The clocks of replicas jump by hours and disagree: books, deadlines and streams do not notice."""

from __future__ import annotations

import asyncio
import glob
from typing import Final

import psycopg

from tests.faults.bench import Bench
from tests.faults.rig import Result, Rig, Setup

_LIBRARIES: Final = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)
_JUMPS: Final = ("+1h", "-1h", "-2h", "+30d", "+0")
_BETWEEN: Final = 60
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
    return await bench.run("clock-jumps", _jump, Setup(variables=variables, seed=bench.seed))


async def _jump(rig: Rig) -> None:
    for jump in _JUMPS:
        for replica in rig.replicas:
            (rig.folder / f"{replica.name}.clock").write_text(jump)
            # The library looks at the file once a second.
            await asyncio.sleep(1.1)
            await rig.history.progress(_BETWEEN)
            if not await rig.clients[replica.name].is_serving():
                rig.findings.append(f"{replica.name} does not serve with its clock at {jump}")
    async with await psycopg.AsyncConnection.connect(rig.url) as connection:
        row = await (await connection.execute(_SPREAD)).fetchone()
    if row is None or row[0] is None or row[0] < 86400:
        rig.findings.append("no clock jumped: what replicas stamped does not differ")
    rig.remarks.append(f"clocks at {', '.join(_JUMPS)} of the true time, replica by replica")
