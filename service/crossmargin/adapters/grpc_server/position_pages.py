"""Pages of positions that all belong to one ledger entry, whatever is booked between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.adapters.grpc_server.paging import PageRequest, bad_page_token, cut_page, page_request
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.domain.position import Position
from crossmargin.usecases.ports.books import AccountState
from crossmargin.usecases.use_cases import UseCases


@dataclass(frozen=True, slots=True)
class PositionPage:
    """Some positions of an account, the entry they are as of, and the token of the next page."""

    positions: Sequence[Position]
    sequence: int
    next_token: str


async def position_page(use_cases: UseCases, account: AccountRef, *, min_seq: int, page_size: int, page_token: str) -> PositionPage:
    """Return one page: the first is as of the last entry, every other as of the entry of the first. A size of 0 is everything.

    Raises:
        DomainError: UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED, INVALID_PAGE_TOKEN.
    """
    asked = page_request(f"positions of {account}", page_size=page_size, page_token=page_token)
    if asked.after is None:
        state = await use_cases.read_account(account, min_sequence=min_seq)
        rest = list(state.positions)
    else:
        sequence, after = _place(asked.after, page_token)
        state = await _state_at(use_cases, account, sequence)
        rest = [position for position in state.positions if (position.book_id, position.instrument_id) > after]
    if not page_size:
        return PositionPage(rest, state.head.sequence, "")
    return _cut(asked, rest, state)


def _cut(asked: PageRequest, rest: list[Position], state: AccountState) -> PositionPage:
    sequence = state.head.sequence
    items, token = cut_page(asked, rest, lambda position: f"{sequence}/{position.book_id}/{position.instrument_id}")
    return PositionPage(items, sequence, token)


async def _state_at(use_cases: UseCases, account: AccountRef, sequence: int) -> AccountState:
    # Nothing booked since is the common case, and cheaper than adding up the postings.
    now = await use_cases.read_account(account, min_sequence=sequence)
    return now if now.head.sequence == sequence else await use_cases.books.account_state_at(account, sequence)


def _place(key: str, token: str) -> tuple[int, tuple[BookId, InstrumentId]]:
    match key.split("/"):
        case [sequence, book, instrument] if sequence.isdecimal() and len(sequence) <= 18:
            try:
                return int(sequence), (BookId(book), InstrumentId(instrument))
            except DomainError:
                raise bad_page_token(token) from None
    raise bad_page_token(token)
