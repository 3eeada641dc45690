"""Liquidations and their steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from crossmargin.adapters.memory.database import Contents, MemoryDatabase
from crossmargin.domain.identifiers import AccountRef, PendingRequestId
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep
from crossmargin.usecases.ports.liquidation import LiquidationFilter
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.storage_errors import unknown_account, unknown_liquidation


class MemoryLiquidationStore:
    """See `LiquidationStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def get_liquidation(self, ref: AccountRef, liquidation_id: PendingRequestId) -> Liquidation:
        """Return a liquidation as it was last written; UNKNOWN_LIQUIDATION."""
        found = self._database.contents.liquidations.get((ref, liquidation_id))
        if found is None:
            raise unknown_liquidation(ref, liquidation_id)
        return found

    async def open_liquidation(self, ref: AccountRef) -> Liquidation | None:
        """Return the liquidation of an account that has not ended."""
        every = self._database.contents.liquidations.values()
        return next((each for each in every if each.account == ref and each.is_open), None)

    async def open_liquidations(self) -> Sequence[Liquidation]:
        """Return every liquidation that has not ended."""
        return sorted((each for each in self._database.contents.liquidations.values() if each.is_open), key=_order)

    async def list_liquidations(self, chosen: LiquidationFilter, page: Page) -> Sequence[Liquidation]:
        """Return liquidations in the order of account, time of approval and name."""
        found = [each for each in self._database.contents.liquidations.values() if _is_chosen(each, chosen)]
        after = None if page.after is None else _order_of_key(page.after)
        rest = [each for each in sorted(found, key=_order) if after is None or _order(each) > after]
        return rest[: page.size]

    async def list_steps(self, ref: AccountRef, liquidation_id: PendingRequestId) -> Sequence[LiquidationStep]:
        """Return the steps of a liquidation in the order of their numbers."""
        steps = self._database.contents.liquidation_steps
        return [step for (account, name, _), step in sorted(steps.items()) if (account, name) == (ref, liquidation_id)]


def store_liquidation_record(staged: Contents, new: Liquidation | LiquidationStep) -> bool:
    """Store a liquidation in place of what it was, or a step; False for a second open liquidation, or a step that is there."""
    if new.account not in staged.accounts:
        raise unknown_account(new.account)
    if isinstance(new, LiquidationStep):
        return staged.liquidation_steps.setdefault((new.account, new.liquidation_id, new.number), new) is new
    others = [each for each in staged.liquidations.values() if each.account == new.account and each.liquidation_id != new.liquidation_id]
    if new.is_open and any(each.is_open for each in others):
        return False
    staged.liquidations[new.account, new.liquidation_id] = new
    return True


def _is_chosen(each: Liquidation, chosen: LiquidationFilter) -> bool:
    return (
        chosen.client_id in {None, each.account.client_id}
        and chosen.account in {None, each.account}
        and (chosen.open_at is None or each.at(chosen.open_at).is_open)
    )


def _order(each: Liquidation) -> tuple[str, str, datetime, str]:
    return each.account.client_id, each.account.account_id, each.approved_at, each.liquidation_id


def _order_of_key(key: str) -> tuple[str, str, datetime, str]:
    client_id, account_id, moment, liquidation_id = key.split(" ")
    return client_id, account_id, datetime.fromisoformat(moment), liquidation_id
