"""Clients and their accounts: an account is one netting set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, unique
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import RESERVED_ACCOUNTS, AccountId, AccountRef, ClientId
from crossmargin.domain.methodology import Methodology

GENESIS_HASH: Final = bytes(32)


@unique
class AccountMode(Enum):
    """Whose collateral stands behind the account."""

    CROSS = "cross"
    """Everything in the account backs everything in it, and profits of one position offset losses of another."""
    ISOLATED = "isolated"
    """The loss is capped at what was moved in; nothing here touches the client's other accounts."""


@unique
class AccountStatus(Enum):
    """Whether new business may be booked."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Client:
    """An institution that owns accounts."""

    client_id: ClientId
    display_name: str

    def __post_init__(self) -> None:
        _check_display_name(self.display_name)


@dataclass(frozen=True, slots=True)
class Account:
    """One netting set of a client.

    Attributes:
        parent: The cross account an isolated one was split off from; None for a cross account.
        methodology: What it is margined by; set by an entry of its ledger. An account that is created again is the same one whatever was
            set since, so two are compared without it.
    """

    ref: AccountRef
    display_name: str
    mode: AccountMode
    parent: AccountId | None = None
    methodology: Methodology = field(default=Methodology.EXPECTED_SHORTFALL, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_display_name(self.display_name)
        if self.ref.account_id in RESERVED_ACCOUNTS:
            reserved = ", ".join(sorted(RESERVED_ACCOUNTS))
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"account id {self.ref.account_id!r} is one of the ledger's own ({reserved}); choose another",
                value=self.ref.account_id,
            )
        if (self.mode is AccountMode.ISOLATED) != (self.parent is not None):
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"{self.ref} is {self.mode.value} with parent {self.parent}; an isolated account names its parent, a cross account none",
                account=self.ref,
            )


@dataclass(frozen=True, slots=True)
class AccountHead:
    """The end of an account's ledger: the row that writers lock.

    Attributes:
        sequence: Number of the last entry; gapless from 1, and 0 for an account without entries.
        chain_hash: Hash over that entry and all before it.
        locked_at: When the transaction began that holds the lock, by the storage's clock: when whatever it appends was recorded. None for a
            head that was only read.
    """

    ref: AccountRef
    mode: AccountMode
    status: AccountStatus
    sequence: int
    chain_hash: bytes
    locked_at: datetime | None = field(default=None, compare=False, repr=False)

    def check_open(self) -> AccountHead:
        """Return this head; ACCOUNT_CLOSED when nothing may be booked any more."""
        if self.status is not AccountStatus.OPEN:
            raise DomainError(Reason.ACCOUNT_CLOSED, f"account {self.ref} is closed", account=self.ref)
        return self


def _check_display_name(name: str) -> None:
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"display name was {name[:120]!r}; expected 1 to 100 printable characters",
            value=name[:120],
        )
