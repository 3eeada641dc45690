"""A database, a breakable line to it, replicas, callers, and what became of them all."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from crossmargin.adapters.postgres import migrate
from crossmargin.adapters.postgres.walls import make_login
from crossmargin_client import AsyncClient
from tests.faults.cancels import TradeBook
from tests.faults.checker import COUNTERS, Count, check
from tests.faults.commit_proxy import CommitProxy, Fate
from tests.faults.faulty_postgres import SERVICE, FaultyPostgres
from tests.faults.history import GRACE_S, History, StalledError
from tests.faults.orders import OrderBook, prepare_limited
from tests.faults.replicas import SERVE, Replica
from tests.faults.workload import DEPOSIT, POLICY, TIMEOUT_S, Kind, Workload, prepare

MIGRATED: Final = "migrated"
"""Name of the database that every run copies, unless it wants another schema."""
_TICK_S: Final = 0.05
_TOGETHER: Final = """
SELECT count(*), sum(entries), max(accounts) FROM (
    SELECT count(*) AS entries, count(DISTINCT (client_id, account_id)) AS accounts FROM entry WHERE kind = 'trade' GROUP BY xmin::text
) AS written WHERE accounts > 1
"""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run is made of.

    Attributes:
        program: What the replicas run: the service, or a mutant of it.
        flags: Of the command that runs it.
        variables: More environment variables of it.
        wrapper: Words before the command, of a program that changes something and then becomes it.
        account_count: Accounts on which facts are booked.
        limited_count: Accounts with a limit, on which orders and withdrawals are decided.
        callers: How many operations are under way at a time.
        kinds: What they do; none for deposits, trades, their cancellations and policies.
        reach: Returns where callers reach a replica, given its own address; None for there.
        template: The database that is copied.
        afterwards: Looks at the rig once everything is repaired, and notes what it finds.
        counters: Names of the counters that apply; what is called past the history cannot be compared with it.
        one_client: True for one client of all replicas, which spreads its calls over them; False for a client of each.
    """

    replica_count: int = 2
    program: Sequence[str] = SERVE
    flags: Sequence[str] = ("--no-monitor",)
    variables: Mapping[str, str] = field(default_factory=dict)
    wrapper: Sequence[str] = ()
    account_count: int = 24
    limited_count: int = 0
    callers: int = 16
    kinds: Sequence[Kind] = ()
    timeout_s: float = TIMEOUT_S
    one_client: bool = False
    reach: Callable[[str], Awaitable[str]] | None = None
    template: str = MIGRATED
    counters: Collection[str] = tuple(COUNTERS)
    afterwards: Callable[[Rig], Awaitable[None]] | None = None
    seed: int = 1


@dataclass
class Tally:
    """How often each fault has happened."""

    kills: int = 0
    stops: int = 0
    halts: int = 0
    crashes: int = 0
    freezes: int = 0
    cuts_before: int = 0
    cuts_after: int = 0
    black_holes: int = 0
    delays: int = 0


@dataclass
class Result:
    """What a run came to. It holds when there is no finding.

    Attributes:
        calls: Answers to operations, those that were sent again included.
        timed: Calls of which it was taken how long they took, reads included; `late` of them came after their deadline and a second.
        by_kind: How many operations of each kind there were.
    """

    name: str
    seconds: float = 0.0
    operations: int = 0
    calls: int = 0
    tally: Tally = field(default_factory=Tally)
    counters: dict[str, Count] = field(default_factory=dict)
    unknown: int = 0
    timed: int = 0
    late: int = 0
    longest_gap_s: float = 0.0
    by_kind: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass
class Rig:
    """One run's processes, all of them real.

    Attributes:
        url: The database, past the proxy and as the superuser, who sees everything.
        server_turn: Held while the database server is being broken, so that only one thing at a time is done to it.
        stage: What the run is at, where faults and operations do not tell.
        lag_s: How late this process itself was at worst; a call that seems late by no more than that was not.
    """

    folder: Path
    postgres: FaultyPostgres
    proxy: CommitProxy
    replicas: list[Replica]
    clients: dict[str, AsyncClient]
    history: History
    workload: Workload
    url: str
    chance: random.Random
    tally: Tally = field(default_factory=Tally)
    server_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    findings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    lag_s: float = 0.0
    stage: str = ""
    began: float = field(default_factory=time.monotonic)

    def progress_line(self) -> str:
        """Return how far the run is, on one line."""
        self.note_cuts()
        tally, history = self.tally, self.history
        if self.stage:
            return f"{time.monotonic() - self.began:5.0f} s  {self.stage}  {len(history.unexpected()) + len(self.findings)} findings"
        return (
            f"{time.monotonic() - self.began:5.0f} s  {history.acknowledged} acknowledged  {tally.kills} kills  {tally.crashes} crashes  "
            f"{tally.freezes} freezes  {tally.cuts_before}+{tally.cuts_after} cuts  {tally.black_holes} holes  "
            f"{len(history.unexpected()) + len(self.findings)} findings"
        )

    def note_cuts(self) -> None:
        """Take over what the proxy has counted."""
        done = self.proxy.done
        self.tally.cuts_before, self.tally.cuts_after = done[Fate.CUT_BEFORE], done[Fate.CUT_AFTER]
        self.tally.black_holes, self.tally.delays = done[Fate.BLACK_HOLE], done[Fate.DELAY]

    async def heal(self) -> None:
        """Repair whatever is broken: lines, the server, replicas."""
        self.proxy.disarm()
        self.proxy.release()
        async with self.server_turn:
            self.postgres.thaw()
            if not self.postgres.is_running:
                await self.postgres.start_again()
            await self.postgres.answers()
        for replica in self.replicas:
            replica.note_own_death()
        await asyncio.gather(*(replica.start() for replica in self.replicas if not replica.serves))


@contextlib.contextmanager
def standing_postgres(folder: Path) -> Iterator[FaultyPostgres]:
    """Yield a server with a migrated database to copy. Call it outside the event loop, in the main thread."""
    # A larger delay loses more of what was not asked to be durable, so that a service which does not ask is found out; what was asked to
    # be is written at once either way.
    settings = {"wal_writer_delay": "10s", "max_connections": "200", "max_wal_size": "256MB"}
    with FaultyPostgres(folder, settings=settings) as postgres:
        postgres.execute(f"CREATE DATABASE {MIGRATED}")
        migrate.upgrade(postgres.url_of(MIGRATED))
        make_login(postgres.url, SERVICE)
        yield postgres


@contextlib.asynccontextmanager
async def running_rig(postgres: FaultyPostgres, folder: Path, setup: Setup) -> AsyncIterator[Rig]:
    """Yield a rig on a database of its own, with every replica up and accounts created; callers do not call yet."""
    name = f"run_{next(_numbers)}"
    folder = folder / name
    folder.mkdir(parents=True)
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {setup.template}")
    async with contextlib.AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(CommitProxy(postgres.socket_path).running())
        replicas = [
            Replica(f"replica-{number}", folder, proxy.url(name, SERVICE), setup.program, setup.flags, setup.variables, setup.wrapper)
            for number in range(1, setup.replica_count + 1)
        ]
        for replica in replicas:
            stack.push_async_callback(replica.kill)
        await asyncio.gather(*(replica.start() for replica in replicas))
        targets = {replica.name: replica.address for replica in replicas}
        if setup.reach is not None:
            targets = {name: await setup.reach(target) for name, target in targets.items()}
        if setup.one_client:
            targets = {"any replica": f"ipv4:{','.join(targets.values())}"}
        clients = {
            name: await stack.enter_async_context(AsyncClient(target, timeout_s=setup.timeout_s)) for name, target in targets.items()
        }
        accounts = await prepare(next(iter(clients.values())), setup.account_count)
        kinds, limited = setup.kinds or (DEPOSIT, *TradeBook().kinds(), POLICY), []
        if setup.limited_count:
            kinds, limited = (*kinds, *OrderBook().kinds()), await prepare_limited(next(iter(clients.values())), setup.limited_count)
        history = History(folder / "history.jsonl")
        stack.callback(history.close)
        workload = Workload(clients, history, accounts, setup.seed, kinds, limited, setup.timeout_s)
        chance = random.Random(setup.seed)  # noqa: S311 - to be drawn again from the same seed
        rig = Rig(folder, postgres, proxy, replicas, clients, history, workload, postgres.url_of(name), chance)
        ticking = asyncio.create_task(_measure_lag(rig))
        stack.callback(ticking.cancel)
        yield rig


async def exercise(rig: Rig, name: str, setup: Setup, body: Callable[[Rig], Awaitable[None]], *, check_replicas: bool = True) -> Result:
    """Return what became of a run: callers call while `body` breaks things; then all is repaired, decided and counted."""
    rig.began = time.monotonic()
    working = asyncio.create_task(rig.workload.run(setup.callers))
    breaking = asyncio.ensure_future(body(rig))
    try:
        # Callers only end before they are told to when something is wrong with them; or there are none.
        await asyncio.wait({breaking, working} if setup.callers else {breaking}, return_when=asyncio.FIRST_COMPLETED)
        (breaking if breaking.done() else working).result()
    except StalledError as stalled:
        rig.findings.append(str(stalled))
    finally:
        breaking.cancel()
        await asyncio.gather(breaking, return_exceptions=True)
        rig.workload.stopping.set()
        await rig.heal()
        await working
    undecided = await rig.workload.settle()
    if setup.afterwards is not None:
        await setup.afterwards(rig)
    if check_replicas:
        await _check_replicas(rig)
    return _result(rig, name, setup, undecided)


async def _check_replicas(rig: Rig) -> None:
    for replica in rig.replicas:
        if replica.note_own_death() or replica.own_deaths:
            rig.findings.append(f"{replica.name} ended by itself with {replica.own_deaths}: {replica.last_words()}")
        incidents = replica.incidents()
        if incidents:
            rig.findings.append(f"{replica.name} logged {len(incidents)} faults of its own: {incidents[0][-600:]}")


def _result(rig: Rig, name: str, setup: Setup, undecided: Sequence[object]) -> Result:
    rig.note_cuts()
    history = rig.history
    counters = check(rig.url, history, names=setup.counters)
    late = [call for call in history.late if call.duration_s - call.timeout_s - GRACE_S > rig.lag_s]
    unexpected = history.unexpected()
    findings = [
        *rig.findings,
        *(f"{counter}: {count.total} ({'; '.join(count.examples)})" for counter, count in counters.items() if count.total),
        *([f"answers that no document allows: {len(unexpected)}, such as {unexpected[0]}"] if unexpected else []),
        *([f"operations whose outcome stays unknown: {len(undecided)}"] if undecided else []),
        *([f"calls that came back later than deadline + {GRACE_S:.0f} s: {len(late)}, such as {late[0]}"] if late else []),
    ]
    return Result(
        name,
        seconds=time.monotonic() - rig.began,
        operations=len(history.operations),
        calls=len(history.answers),
        tally=rig.tally,
        counters=counters,
        unknown=len(undecided),
        timed=history.timed,
        late=len(late),
        longest_gap_s=history.longest_gap_s,
        by_kind=dict(Counter(operation.kind for operation in history.operations.values()).most_common()),
        findings=findings,
        remarks=[*rig.remarks, *_written_together(rig.url)],
    )


def _written_together(url: str) -> list[str]:
    """Return how many trades were written in transactions with others, which a run ought to have broken too; nothing where none were."""
    with psycopg.connect(url) as connection:
        ((transactions, entries, largest),) = connection.execute(_TOGETHER).fetchall()
    return [f"{transactions} transactions wrote {entries} trades of several accounts, at most of {largest}"] if transactions else []


async def _measure_lag(rig: Rig) -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(_TICK_S)
        rig.lag_s = max(rig.lag_s, time.monotonic() - before - _TICK_S)
