"""Pages of lists: their size, and the tokens that lead from one to the next."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.ports.page import Page

T = TypeVar("T")

DEFAULT_PAGE_SIZE: Final = 100
LARGEST_PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a caller asks of a list.

    Attributes:
        list_name: The list with everything that selects it, such as the account whose entries are listed; tokens are good for it alone.
        size: Most items to return.
        after: Key of the last item of the previous page; None for the first page.
    """

    list_name: str
    size: int
    after: str | None

    @property
    def page(self) -> Page:
        """What to read: one item more than to return, which tells whether there is a next page."""
        return Page(self.size + 1, self.after)


def page_request(list_name: str, *, page_size: int, page_token: str) -> PageRequest:
    """Return the request for a page: 0 asks for 100 items, and more than 1000 for 1000.

    Raises:
        DomainError: INVALID_PAGE_TOKEN for a token that was not issued for this list.
    """
    size = min(page_size or DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE)
    return PageRequest(list_name, size, _key_of_token(page_token, list_name) if page_token else None)


def cut_page(request: PageRequest, found: Sequence[T], key: Callable[[T], str]) -> tuple[Sequence[T], str]:
    """Return the items of the page and the token of the next one; an empty token when this page is the last."""
    if len(found) <= request.size:
        return found, ""
    items = found[: request.size]
    return items, _token(request.list_name, key(items[-1]))


def sequence_after(key: str | None, token: str) -> int:
    """Return the sequence after which a page begins, in a list whose keys are sequences; INVALID_PAGE_TOKEN for any other key."""
    if key is None:
        return 0
    # Eighteen digits stay within the database's 64 bits.
    if not (key.isdecimal() and len(key) <= 18):
        raise bad_page_token(token)
    return int(key)


def bad_page_token(token: str) -> DomainError:
    """Return the error for a token that leads nowhere."""
    expected = "next_page_token of the previous page of the same list"
    return DomainError(
        Reason.INVALID_PAGE_TOKEN, f"page token was {token[:60]!r}; expected {expected}", value=token[:60], expected=expected
    )


def _token(list_name: str, key: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([list_name, key]).encode()).decode()


def _key_of_token(token: str, list_name: str) -> str:
    try:
        name, key = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise bad_page_token(token) from None
    # Tokens are not signed: whoever makes one up gets a page he may read anyway. But nothing unprintable may reach the database.
    if name != list_name or not isinstance(key, str) or not (key.isascii() and key.isprintable()):
        raise bad_page_token(token)
    return key
