"""`crossmargin top`: every account against its line, live, until somebody presses q."""

from __future__ import annotations

import asyncio
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.render import console_on
from crossmargin_cli.security import chosen_security
from crossmargin_cli.top_board import SORTS, Board, Choice, board_table, headline, screen
from crossmargin_client import AsyncClient, Client, CrossmarginError

EXAMPLES: Final = examples(
    "crossmargin top",
    "crossmargin top --sort excess --filter summit",
    "crossmargin top --once --json",
)
STEP: Final = "0.0001"
"""Utilization: a move that one place of the board would show."""
_FRAME_S: Final = 0.25
_BOARD_WIDTH: Final = 150
_LOOK_FOR_NEW_ACCOUNTS_S: Final = 5.0


def top(  # noqa: PLR0917 - typer hands options over by name
    sort: Annotated[str, typer.Option(help=f"What comes first: {', '.join(SORTS)}.")] = "utilization",
    only: Annotated[str, typer.Option("--filter", metavar="TEXT", help="Accounts whose CLIENT/ACCOUNT holds this text.")] = "",
    worst: Annotated[bool, typer.Option("--worst", help="At risk, margin call and liquidation only.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print the board and end; the default where output is no terminal.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Utilization of every account, live: worst first, in the colour of its band, with keys to sort and filter."""
    if sort not in SORTS:
        raise MisuseError(f"sort was {sort!r}; expected one of {', '.join(SORTS)}", next_step="crossmargin top --sort utilization")
    console, choice = console_on(), Choice(sort=sort, only=only, worst_only=worst)
    with connect(target) as client:
        board = _read(client)
    if json:
        print_json({"margins": [to_json(row.margin) for row in board.chosen(choice)]})
    elif once or not console.is_terminal:
        now = datetime.now(UTC)
        if not console.is_terminal:
            # A line of the board is wider than a pipe's hundred columns, and a name that is cut says nothing.
            console.width = _BOARD_WIDTH
        console.print(headline(board, now), soft_wrap=True)
        console.print(board_table(console, board.chosen(choice), choice, now))
    else:
        asyncio.run(_live(console, board, choice, target))


def _read(client: Client) -> Board:
    board = Board()
    for account in client.list_accounts():
        board.hear(client.get_margin(account.name), datetime.now(UTC))
    return board


async def _live(console: Console, board: Board, choice: Choice, target: str) -> None:
    """Redraw a few times a second what the streams of all accounts say."""
    shown = _Shown(choice)
    async with AsyncClient(target, **chosen_security().options) as client, asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_watch_all(client, board))
        with _keys(shown), Live(console=console, screen=True, auto_refresh=False) as live:
            while not shown.is_over:
                live.update(screen(console, board, shown.choice, datetime.now(UTC)), refresh=True)
                await shown.wait_for_key(_FRAME_S)
        watching.cancel()


async def _watch_all(client: AsyncClient, board: Board) -> None:
    """Watch every account there is, and those that come later."""
    watched: set[str] = set()
    async with asyncio.TaskGroup() as tasks:
        while True:
            try:
                async for account in client.list_accounts():
                    if account.name not in watched:
                        watched.add(account.name)
                        tasks.create_task(_watch(client, account.name, board))
            except CrossmarginError as error:
                board.trouble = error.message
            await asyncio.sleep(_LOOK_FOR_NEW_ACCOUNTS_S)


async def _watch(client: AsyncClient, account: str, board: Board) -> None:
    """Hear one account for ever: a stream that is given up is opened again, and the board says so meanwhile."""
    while True:
        try:
            async for margin in client.watch_margin(account, utilization_step=STEP):
                board.hear(margin, datetime.now(UTC))
        except CrossmarginError as error:
            board.trouble = error.message
            await asyncio.sleep(_LOOK_FOR_NEW_ACCOUNTS_S)


class _Shown:
    """What somebody has chosen with the keys so far."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.is_over = False
        self._pressed = asyncio.Event()

    def press(self, key: str) -> None:
        """Take a key; q, Ctrl-C and Ctrl-D end the board."""
        self.is_over = self.is_over or key in {"q", "\x03", "\x04"}
        self.choice = self.choice.pressed(key)
        self._pressed.set()

    async def wait_for_key(self, seconds: float) -> None:
        """Return after a key, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._pressed.wait()
        except TimeoutError:
            return
        self._pressed.clear()


@contextmanager
def _keys(shown: _Shown) -> Iterator[None]:
    """Hand single keys of the terminal over as they are pressed, and leave the terminal as it was."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, lambda: shown.press(sys.stdin.read(1)))
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
