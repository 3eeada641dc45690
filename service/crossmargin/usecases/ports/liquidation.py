"""Liquidations that two persons have agreed to, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crossmargin.domain.identifiers import AccountRef, ClientId, PendingRequestId
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep
from crossmargin.usecases.ports.page import Page


@dataclass(frozen=True, slots=True)
class LiquidationFilter:
    """Which liquidations to list; what is None chooses all.

    Attributes:
        account: Of this account only; it is one of the client's. open_at: Those alone that are open at this moment.
    """

    client_id: ClientId | None = None
    account: AccountRef | None = None
    open_at: datetime | None = None


class LiquidationStore(Protocol):
    """Liquidations and their steps. They are written by decisions (see `Record`)."""

    async def get_liquidation(self, ref: AccountRef, liquidation_id: PendingRequestId) -> Liquidation:
        """Return a liquidation as it was last written; UNKNOWN_LIQUIDATION, also for one of another account."""
        ...

    async def open_liquidation(self, ref: AccountRef) -> Liquidation | None:
        """Return the liquidation of an account that has not ended, though it may have expired; None without one."""
        ...

    async def open_liquidations(self) -> Sequence[Liquidation]:
        """Return every liquidation that has not ended, though it may have expired, in the order of account: at most one of each."""
        ...

    async def list_liquidations(self, chosen: LiquidationFilter, page: Page) -> Sequence[Liquidation]:
        """Return liquidations in the order of account, time of approval and name; `page.after` is a `liquidation_key`."""
        ...

    async def list_steps(self, ref: AccountRef, liquidation_id: PendingRequestId) -> Sequence[LiquidationStep]:
        """Return the steps of a liquidation in the order of their numbers; none for one that does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class OpenLiquidation:
    """A liquidation that is open. `is_outdated`: what is left of it is not to be traded at the market of the last house run."""

    liquidation: Liquidation
    is_outdated: bool


class LiquidationReports(Protocol):
    """Where people learn of liquidations."""

    def liquidations_seen(self, found: Sequence[OpenLiquidation]) -> None:
        """Publish the liquidations that are open. Of the process that leads."""
        ...

    def withdraw_liquidations(self) -> None:
        """Stop publishing open liquidations: this process no longer leads."""
        ...

    def liquidation_stepped(self, step: LiquidationStep) -> None:
        """Tell, and count, what this process has just written of a liquidation."""
        ...


def liquidation_key(liquidation: Liquidation) -> str:
    """Return what liquidations are listed in the order of."""
    account = liquidation.account
    return f"{account.client_id} {account.account_id} {liquidation.approved_at.isoformat()} {liquidation.liquidation_id}"
