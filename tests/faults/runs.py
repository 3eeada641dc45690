"""Every run by its name: what is broken, how often, and what the service is promised to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from tests.faults.audit import run_audit
from tests.faults.bench import Bench
from tests.faults.checker import LEDGER_ALONE
from tests.faults.clock_jumps import run_clock_jumps
from tests.faults.connections import COUNT, WRAPPER, many_connections
from tests.faults.dead_lines import run_dead_lines
from tests.faults.decision_speed import decision_speed
from tests.faults.disk_full import run_disk_full
from tests.faults.fuzz import fuzzing
from tests.faults.halt import halts
from tests.faults.injectors import Injector, at_least, beside, black_holes, crashes, cuts, delays, freezes, kills, together
from tests.faults.leader_kills import EACH, leader_kills
from tests.faults.market import check_one_leader, moving_market
from tests.faults.migration import run_migration
from tests.faults.mutants import MUTANTS, Mutant, hunt
from tests.faults.race import race_run
from tests.faults.rig import Result, Setup
from tests.faults.rolling import rolling_restarts
from tests.faults.slow_readers import STREAMS, slow_readers
from tests.faults.streamed_trades import TradeStreams
from tests.faults.workload import TRADES

_WITH_ORDERS: Final = Setup(limited_count=4)
_IN_LINE: Final = Setup(callers=48, kinds=(TRADES,))
"""Trades alone, so many at a time that most are written together with others."""
_STREAMS: Final = TradeStreams()
_STREAMED: Final = Setup(callers=48, kinds=(_STREAMS.kind(), TRADES), afterwards=_STREAMS.end)
"""Trades over a stream through each client, and as many beside them in calls of their own."""
EVERYTHING_S: Final = 600.0
"""How long all faults at once go on unless another time is asked for; their counts are the least, and not the end."""

LEADER_KILLS: Final = 6


@dataclass(frozen=True, slots=True)
class Run:
    """One run: a name for the command line, a sentence for `list`, and how it is made."""

    name: str
    says: str
    execute: Callable[[Bench], Awaitable[Result]]


def _breaking(name: str, says: str, injector: Callable[[int | None], Injector], setup: Setup = _WITH_ORDERS, **counts: int) -> Run:
    """Return a run that breaks things so many times by the tally, and longer if more time was asked for."""

    async def execute(bench: Bench) -> Result:
        body = at_least(injector(None), seconds=bench.seconds or 0.0, **counts)
        return await bench.run(name, body, replace(setup, seed=bench.seed))

    return Run(name, says, execute)


async def _everything(bench: Bench) -> Result:
    often = (
        *(kills(between=(6, 18)), crashes(between=(60, 120)), freezes(between=(150, 300))),
        *(cuts(between=(3, 8)), black_holes(between=(30, 60)), delays()),
    )
    least = {"kills": 100, "crashes": 10, "freezes": 3, "cuts_before": 100, "cuts_after": 100, "black_holes": 30}
    body = at_least(together(*often), seconds=EVERYTHING_S if bench.seconds is None else bench.seconds, **least)
    setup = Setup(replica_count=3, callers=32, limited_count=8, flags=("--monitor",), afterwards=check_one_leader, seed=bench.seed)
    return await bench.run("everything", beside(moving_market(), body), setup)


async def _halt(bench: Bench) -> Result:
    return await bench.run("halt", halts(20), Setup(account_count=8, limited_count=4, seed=bench.seed))


async def _rolling(bench: Bench) -> Result:
    return await bench.run("rolling-restart", rolling_restarts(5), Setup(one_client=True, limited_count=4, seed=bench.seed))


async def _leader(bench: Bench) -> Result:
    setup = Setup(flags=(), account_count=2, limited_count=LEADER_KILLS * EACH, callers=0, counters=(), seed=bench.seed)
    return await bench.run("leader", leader_kills(LEADER_KILLS), setup)


async def _fuzz(bench: Bench) -> Result:
    return await bench.run("fuzz", fuzzing(), Setup(replica_count=1, account_count=2, callers=0, counters=LEDGER_ALONE, seed=bench.seed))


async def _connections(bench: Bench) -> Result:
    return await bench.run("connections", many_connections(), Setup(replica_count=1, wrapper=WRAPPER, seed=bench.seed))


async def _slow_readers(bench: Bench) -> Result:
    return await bench.run("slow-readers", slow_readers(), Setup(callers=4, counters=LEDGER_ALONE, seed=bench.seed))


def _mutant(mutant: Mutant) -> Run:
    async def execute(bench: Bench) -> Result:
        return await hunt(bench, mutant)

    return Run(f"mutant-{mutant.name}", f"a service with this mistake is caught within a minute: {mutant.says}", execute)


MUTANT_RUNS: Final = tuple(_mutant(mutant) for mutant in MUTANTS)
RUNS: Final = (
    _breaking("kill", "replicas are killed outright", kills, kills=100),
    _breaking("crash", "PostgreSQL crashes and recovers", crashes, crashes=10),
    _breaking("freeze", "PostgreSQL stands still for 5 s at a time", freezes, freezes=3),
    _breaking("cut", "lines break before and after a COMMIT reached the server", cuts, cuts_before=100, cuts_after=100),
    _breaking("kill-in-line", "replicas are killed outright while they write trades together", kills, _IN_LINE, kills=100),
    _breaking("crash-in-line", "PostgreSQL crashes while trades are written together", crashes, _IN_LINE, crashes=10),
    _breaking("freeze-in-line", "PostgreSQL stands still while trades are written together", freezes, _IN_LINE, freezes=3),
    _breaking(
        "cut-in-line", "lines break around the COMMIT of trades that are written together", cuts, _IN_LINE, cuts_before=100, cuts_after=100
    ),
    _breaking("kill-streamed", "replicas are killed outright while trades are streamed to them", kills, _STREAMED, kills=100),
    _breaking(
        "cut-streamed", "lines break around the COMMIT of trades that are streamed", cuts, _STREAMED, cuts_before=100, cuts_after=100
    ),
    _breaking("black-hole", "lines stay open and swallow every answer from a COMMIT on", black_holes, black_holes=30),
    _breaking("delay", "COMMITs arrive late, so that others overtake them", delays, delays=100),
    Run("halt", "the house is halted under load: nothing that may be refused is approved meanwhile", _halt),
    Run("leader", "the leader of the monitors is killed in the middle of issuing calls: no call is lost, none is issued twice", _leader),
    Run("rolling-restart", "replicas are replaced one by one under load, and no caller sees an error", _rolling),
    Run("connections", f"{COUNT} idle connections to a replica that starts with the usual limit of open files", _connections),
    Run("dead-lines", "lines between callers and replicas swallow everything and stay open", run_dead_lines),
    Run("slow-readers", f"{STREAMS} streams of margins that nobody reads", _slow_readers),
    Run("disk-full", "the disk of the database fills up", run_disk_full),
    Run("clock-jumps", "the clocks of replicas jump by hours and disagree", run_clock_jumps),
    Run("audit", "the ledger is tampered with behind the service's back, and the verifier tells", run_audit),
    Run("migration", "the schema goes up and down under load, with the previous release running", run_migration),
    Run("fuzz", "every RPC is called with values and bytes that it has to refuse", _fuzz),
    Run("race", "sixteen callers race for one limit on each of 150 accounts, over two replicas: none comes over it", race_run),
    Run("speed", "nothing is broken: a decision is timed in turn with the same lock, insert and commit by hand", decision_speed),
    Run("everything", "all faults of replicas, server and lines at once", _everything),
)
