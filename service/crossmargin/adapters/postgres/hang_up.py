"""The way off a line on which nobody answers."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import psycopg
from psycopg import AsyncConnection


def hang_up(connection: AsyncConnection[Any]) -> None:
    """End a connection so that whatever waits on it fails at once.

    Cancelling the waiting task instead would have the driver ask the server, which does not answer, to cancel the statement. Shutting the
    socket down wakes the driver, which then closes the descriptor itself, so that its number is not in use twice on the event loop.
    """
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)
