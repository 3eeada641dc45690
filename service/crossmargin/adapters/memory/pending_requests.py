"""What waits for a second person, and what has become of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from crossmargin.adapters.memory.database import Contents, MemoryDatabase
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.identifiers import PendingRequestId
from crossmargin.domain.pending_request import LIFETIME, PendingEnd, PendingRequest, PendingState
from crossmargin.usecases.caller import admitted_scope
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.pending_request import PendingFilter, pending_key
from crossmargin.usecases.storage_errors import unknown_client, unknown_pending_request


class MemoryPendingRequests:
    """See `PendingRequests`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def get_pending(self, pending_id: PendingRequestId) -> PendingRequest:
        """Return a pending request as it stands now; UNKNOWN_PENDING_REQUEST if there is none."""
        found = pending_of(self._database.contents, pending_id, now=self._database.now())
        if not _is_inside(found, admitted_scope()):
            raise unknown_pending_request(pending_id)
        return found

    async def list_pending(self, chosen: PendingFilter, page: Page) -> Sequence[PendingRequest]:
        """Return pending requests, oldest first."""
        contents, now, scope = self._database.contents, self._database.now(), admitted_scope()
        found = sorted((pending_of(contents, pending_id, now=now) for pending_id in contents.pending), key=pending_key)
        return [
            one
            for one in found
            if _is_inside(one, scope)
            and (page.after is None or pending_key(one) > page.after)
            and chosen.client_id in {None, one.asked.client_id}
            and chosen.state in {None, one.state}
        ][: page.size]


def _is_inside(pending: PendingRequest, scope: ClientScope) -> bool:
    client_id = pending.asked.client_id
    return scope.is_whole_house if client_id is None else scope.covers(client_id)


def pending_of(contents: Contents, pending_id: PendingRequestId, *, now: datetime) -> PendingRequest:
    """Return a pending request as it stands at a time; UNKNOWN_PENDING_REQUEST if there is none."""
    stored = contents.pending.get(pending_id)
    if stored is None:
        raise unknown_pending_request(pending_id)
    is_over = stored.expires_at is not None and now >= stored.expires_at
    return replace(stored, state=PendingState.EXPIRED) if is_over and stored.state is PendingState.AWAITING else stored


def store_pending(staged: Contents, new: PendingRequest, now: datetime) -> bool:
    """Keep what waits for a second person; False when its name is taken by something else. UNKNOWN_CLIENT."""
    if new.asked.client_id is not None and new.asked.client_id not in staged.clients:
        raise unknown_client(new.asked.client_id)
    stored = staged.pending.setdefault(new.pending_id, replace(new, asked_at=now, expires_at=now + LIFETIME))
    return (stored.asked, stored.asked_by) == (new.asked, new.asked_by)


def end_pending(staged: Contents, end: PendingEnd, now: datetime) -> bool:
    """End what waits; UNKNOWN_PENDING_REQUEST, and PENDING_REQUEST_ENDED when it waits no more."""
    found = pending_of(staged, end.pending_id, now=now)
    found.check_awaits()
    staged.pending[end.pending_id] = replace(found, state=end.state, ended_by=end.by, ended_at=now)
    return True
