"""What a client shows of itself: a certificate for the connection, and a token with every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files in PEM: the authority of the service's certificate, and one's own certificate with its key.

    When they are replaced the next calls go over a new connection made with them.
    """

    ca: Path
    certificate: Path
    key: Path

    def credentials(self) -> grpc.ChannelCredentials:
        """Return credentials from what the files hold now; OSError for one that cannot be read."""
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes())

    def state(self) -> tuple[int, ...]:
        """Return what differs once a file has been replaced; empty while one is away."""
        try:
            return tuple(path.stat().st_mtime_ns for path in (self.ca, self.certificate, self.key))
        except OSError:
            return ()


class TokenFile:
    """A token in a file, which is read again whenever it has changed: whoever renews tokens writes it there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = -1
        self._token = ""

    def __call__(self) -> str:
        """Return the token; OSError when the file cannot be read."""
        state = self._path.stat().st_mtime_ns
        if state != self._state:
            self._token = self._path.read_text().strip()
            self._state = state
        return self._token


TokenSource: TypeAlias = str | TokenFile | Callable[[], str]
"""A token, a file that is read again as it changes, or what returns the token to use now."""


def authorization(source: TokenSource | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata that carries the token a source gives now."""
    if source is None:
        return ()
    token = source if isinstance(source, str) else source()
    return (("authorization", f"Bearer {token}"),)
