"""Processes of this machine for runs over the house, so that they use all cores and the process that answers calls goes on answering."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final, Generic, TypeVar

import structlog

from crossmargin.adapters.runtime.block_link import HEADER, PICKLE_PROTOCOL, Say, message
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.kept_parts import KeptParts, Part

T = TypeVar("T")
S = TypeVar("S")
B = TypeVar("B")
LEAST_BLOCKS: Final = 32
"""A run of fewer blocks stays on threads: by the time that processes were there it would be over."""
LEAST_BLOCKS_STARTED: Final = 4
"""The same once there are processes: a block or two are done sooner than sent."""
LONGEST_S: Final = 60.0
"""How long a block is waited for: far longer than any takes. A process that has it for longer is ended, and another one does it."""
IDLE_S: Final = 60.0
"""Processes end when there has been no run for so long, as when another replica leads."""
REST_S: Final = 60.0
"""How long runs stay on threads after processes could not be kept alive."""
_QUEUED: Final = 2
"""Blocks that a process has: one that it is at, and one so that it need not wait for the next."""
_MOST_LOSSES: Final = 2
"""A block that took so many processes with it is done here."""
_LOSSES_IN_A_ROW: Final = 6
"""So many processes lost without one answer between them: there is something wrong with all of them."""
_SMALL_BYTES: Final = 32_768
"""Answers above it are unpickled on a thread; below it that takes less than handing it over."""
_OURS: Final = ("CROSSMARGIN_", "PG", "OTEL_")
"""Variables that such a process is not given, passwords among them: it reads no settings and knows no database."""
log = structlog.get_logger()


class ProcessComputePool:
    """Hands the blocks of long runs to processes, which start with the first of them; what somebody waits for is done by threads.

    Processes are new ones, not copies of this one, and know nothing but what they are sent: blocks, and what these share, cut into parts
    of which each is sent once, arrays as files in memory that all of them map. A process that dies is started again and its blocks done
    again. None outlives this one, whatever becomes of it: each ends when its link is closed at our end.
    """

    def __init__(
        self,
        threads: ThreadComputePool,
        process_count: int,
        *,
        least_blocks: int = LEAST_BLOCKS,
        longest_s: float = LONGEST_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self._threads = threads
        self._crew = _Crew(process_count)
        self._least_blocks = least_blocks
        self._longest_s = longest_s
        self._idle_s = idle_s
        self._window = 2 * _QUEUED * process_count
        self._runs = 0
        self._is_closed = False
        self._ending: asyncio.TimerHandle | None = None

    @property
    def process_ids(self) -> list[int]:
        """Of the processes that there are now."""
        return [hand.process.pid for hand in self._crew.hands]

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises; in a thread of this process."""
        return await self._threads.run(work)

    async def run_small(self, work: Callable[[], T]) -> T:
        """See `ComputePool.run_small`."""
        return await self._threads.run_small(work)

    async def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """Yield `work(shared, block)` for each block, in their order; four for each process are under way."""
        left = iter(blocks)
        least = min(LEAST_BLOCKS_STARTED, self._least_blocks) if self._crew.hands else self._least_blocks
        first = list(islice(left, least))
        is_long = len(first) == least and not self._is_closed and not self._crew.is_resting()
        over = self._on_processes if is_long else self._threads.over_blocks
        async with aclosing(over(shared, work, chain(first, left))) as results:
            async for result in results:
                yield result

    def close(self) -> None:
        """End the processes, and start no more. What threads do is for whoever made them."""
        self._is_closed = True
        if self._ending is not None:
            self._ending.cancel()
        self._crew.dismiss()

    async def _on_processes(self, shared: S, work: Callable[[S, B], T], blocks: Iterator[B]) -> AsyncGenerator[T]:
        if self._ending is not None:
            self._ending.cancel()
        self._runs += 1
        try:
            async with self._crew.keeping(shared) as part:
                over = self._threads.over_blocks(shared, work, blocks) if part is None else self._results(part, shared, work, blocks)
                async with aclosing(over) as results:
                    async for result in results:
                        yield result
        finally:
            self._runs -= 1
            if not self._runs:
                self._ending = asyncio.get_running_loop().call_later(self._idle_s, self._crew.dismiss)

    async def _results(self, part: Part, shared: S, work: Callable[[S, B], T], blocks: Iterator[B]) -> AsyncGenerator[T]:
        under_way: deque[_Task[B]] = deque()
        try:
            for block in blocks:
                under_way.append(_Task(block, self._crew.ask(part, work, block)))
                if len(under_way) >= self._window:
                    yield await self._result_of(under_way.popleft(), shared, work)
            while under_way:
                yield await self._result_of(under_way.popleft(), shared, work)
        finally:
            for task in under_way:
                task.job.answer.cancel()

    async def _result_of(self, task: _Task[B], shared: S, work: Callable[[S, B], T]) -> T:
        job = task.job
        while not job.answer.done():
            await asyncio.wait({job.answer}, timeout=self._longest_s)
            if not job.answer.done():
                self._crew.give_up(job)
        answer = job.answer.result()
        if answer is None:
            return await self._done_here(shared, work, task.block)
        if len(answer) > _SMALL_BYTES:
            result: T = await asyncio.to_thread(_unpickled, answer)
            return result
        # Answers that came together are not made into results together: whoever waits for the loop goes first.
        await asyncio.sleep(0)
        result = _unpickled(answer)
        await asyncio.sleep(0)
        return result

    async def _done_here(self, shared: S, work: Callable[[S, B], T], block: B) -> T:
        """Return what the work returns, or raise what it raises: what went wrong there goes right here, or is told here."""
        async with aclosing(self._threads.over_blocks(shared, work, [block])) as results:
            return await anext(results)


@dataclass(slots=True, eq=False)
class _Job:
    """A block to be done. `answer` is the pickled result, or None when it has to be done here."""

    part: Part
    order: bytes
    answer: asyncio.Future[bytes | None]
    losses: int = 0


@dataclass(frozen=True, slots=True)
class _Task(Generic[B]):
    block: B
    job: _Job


@dataclass(slots=True, eq=False)
class _Hand:
    """A process, and what it has been told: parts that it holds, jobs that it has not answered, in their order."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    files: socket.socket
    held: set[int] = field(default_factory=set)
    jobs: deque[_Job] = field(default_factory=deque)

    def keep(self, shared: Part) -> None:
        """Have a part kept, and of what it is made of what is not held yet."""
        if shared.number in self.held:
            return
        missing = [part for part in (*shared.parts, shared) if part.number not in self.held]
        for part in missing:
            if part.file is not None:
                socket.send_fds(self.files, [b"f"], [part.file])
        self.held |= {part.number for part in missing}
        self._say(Say.KEEP, [part.sent for part in missing])

    def keep_only(self, numbers: frozenset[int]) -> None:
        """Have every other part dropped."""
        gone = self.held - numbers
        if gone:
            self.held -= gone
            self._say(Say.DROP, sorted(gone))

    def do(self, job: _Job) -> None:
        """Have a block done."""
        self.jobs.append(job)
        with suppress(OSError):  # it is gone, which is noticed where answers are read
            self.keep(job.part)
        self.writer.write(message(Say.WORK, job.order))

    def hang_up(self) -> None:
        """End the process, whatever it is at."""
        self.process.kill()
        self.files.close()
        self.writer.transport.abort()

    def _say(self, kind: Say, told: object) -> None:
        self.writer.write(message(kind, pickle.dumps(told, PICKLE_PROTOCOL)))


class _Crew:
    """The processes, what waits for one of them, and what they have in common."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._parts = KeptParts()
        self._cutting = asyncio.Lock()
        self._shared: list[Part] = []
        self._waiting: deque[_Job] = deque()
        self._coming: set[asyncio.Task[None]] = set()
        self._reading: set[asyncio.Task[None]] = set()
        self._losses = 0
        self._resting_until = 0.0
        self.hands: list[_Hand] = []

    @asynccontextmanager
    async def keeping(self, shared: object) -> AsyncIterator[Part | None]:
        """Yield what a run shares as a part; None when there is no room for it. It is let go of when the next run begins."""
        try:
            part = await self._begin(shared)
        except OSError as error:
            log.warning("a run stays on threads", why=error.strerror)
            yield None
            return
        try:
            yield part
        finally:
            self._shared.remove(part)

    async def _begin(self, shared: object) -> Part:
        async with self._cutting:
            part = await asyncio.to_thread(self._parts.known, shared)
            self._shared.append(part)
            numbers = self._parts.keep_only(self._shared)
        for hand in self.hands:
            hand.keep_only(numbers)
        return part

    def ask(self, part: Part, work: Callable[..., object], block: object) -> _Job:
        """Have a block done by whichever process has the least to do."""
        loop = asyncio.get_running_loop()
        job = _Job(part, pickle.dumps((part.number, work, block), PICKLE_PROTOCOL), loop.create_future())
        if self.is_resting():
            job.answer.set_result(None)
            return job
        self._waiting.append(job)
        self._call_up()
        self._hand_out()
        return job

    def give_up(self, job: _Job) -> None:
        """End the process that has kept a block for too long; a block that no process has got yet is done here."""
        holder = next((hand for hand in self.hands if job in hand.jobs), None)
        if holder is None:
            job.answer.set_result(None)
        else:
            holder.process.kill()

    def is_resting(self) -> bool:
        """Whether processes could not be kept alive a short time ago."""
        return asyncio.get_running_loop().time() < self._resting_until

    def dismiss(self) -> None:
        """End all processes."""
        hands, self.hands = self.hands, []
        for task in (*self._coming, *self._reading):
            with suppress(RuntimeError):  # of a loop that is closed
                task.cancel()
        for hand in hands:
            with suppress(RuntimeError):
                hand.hang_up()
            hand.process.wait()
        for job in (*self._waiting, *(job for hand in hands for job in hand.jobs)):
            if not job.answer.done():
                job.answer.set_result(None)
        self._waiting.clear()
        self._parts.keep_only(())

    def _call_up(self) -> None:
        for _ in range(len(self.hands) + len(self._coming), self._count):
            coming = asyncio.create_task(self._hire())
            self._coming.add(coming)
            coming.add_done_callback(self._coming.discard)

    async def _hire(self) -> None:
        try:
            # A millisecond or two, and not on a thread: whoever is cancelled meanwhile would leave a process that nobody knows.
            process, ours, files = _started()
        except OSError as error:
            log.warning("a process for runs cannot be started", why=error.strerror)
            self._lost([])
            return
        try:
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            process.kill()
            process.wait()
            raise
        hand = _Hand(process, reader, writer, files)
        self.hands.append(hand)
        reading = asyncio.create_task(self._listen(hand))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        self._hand_out()

    async def _listen(self, hand: _Hand) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                kind, length = HEADER.unpack(await hand.reader.readexactly(HEADER.size))
                answer = await hand.reader.readexactly(length)
                self._losses = 0
                job = hand.jobs.popleft()
                if not job.answer.done():
                    job.answer.set_result(answer if kind == Say.DONE else None)
                self._hand_out()
        self.hands.remove(hand)
        hand.hang_up()
        code = await asyncio.to_thread(hand.process.wait)
        log.warning("a process for runs was lost", exit_code=code, blocks=len(hand.jobs))
        self._lost(hand.jobs)

    def _lost(self, jobs: Sequence[_Job]) -> None:
        """Have what a process had been told done by another one, or here. The first of its blocks is the one that it was at."""
        self._losses += 1
        if jobs:
            jobs[0].losses += 1
        self._waiting.extendleft(reversed(jobs))
        if self._losses >= _LOSSES_IN_A_ROW:
            log.error("runs stay on threads for a while", why="processes for them cannot be kept alive")
            self._losses, self._resting_until = 0, asyncio.get_running_loop().time() + REST_S
        for job in self._waiting:
            if not job.answer.done() and (job.losses >= _MOST_LOSSES or self.is_resting()):
                job.answer.set_result(None)
        if self._has_work():
            self._call_up()
        self._hand_out()

    def _hand_out(self) -> None:
        while self._has_work() and self.hands:
            hand = min(self.hands, key=lambda one: len(one.jobs))
            if len(hand.jobs) >= _QUEUED:
                return
            hand.do(self._waiting.popleft())

    def _has_work(self) -> bool:
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()
        return bool(self._waiting)


def _started() -> tuple[subprocess.Popen[bytes], socket.socket, socket.socket]:
    """Return a new process, and our ends of the link to it and of the socket for files."""
    with ExitStack() as ours, ExitStack() as theirs:
        link, files = (_pair(ours, theirs) for _ in range(2))
        numbers = (link[1].fileno(), files[1].fileno())
        process = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
            [sys.executable, "-P", "-m", "crossmargin.adapters.runtime.block_process", *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            pass_fds=numbers,
            env={name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
            # Ctrl-C is for us: they end with us.
            process_group=0,
        )
        ours.pop_all()
    return process, link[0], files[0]


def _pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    # What is theirs is closed here in any case, or nobody would notice that the process is gone; what is ours only if none was started.
    one, other = socket.socketpair()
    return ours.enter_context(one), theirs.enter_context(other)


def _unpickled(answer: bytes) -> Any:  # noqa: ANN401 - whatever the work returned
    return pickle.loads(answer)  # noqa: S301 - of a process that we started
