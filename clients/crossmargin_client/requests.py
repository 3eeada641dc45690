"""What requests have in common: a write has a name, so that a retry is not a second one, and a list has pages."""

from __future__ import annotations

import uuid
from typing import Final, Protocol, TypeVar

PAGE_SIZE: Final = 1000


class PagedRequest(Protocol):
    """A request for one page of a list."""

    page_token: str


class PagedResponse(Protocol):
    """One page of a list."""

    next_page_token: str


Paged = TypeVar("Paged", bound=PagedRequest)


def new_request_id() -> str:
    """Return a name for a write that no other write has."""
    return str(uuid.uuid4())


def request_id_of(request: object) -> str:
    """Return the name of a write; empty for a read."""
    return str(getattr(request, "request_id", ""))


def next_page(request: Paged, response: PagedResponse) -> Paged | None:
    """Return the request for the page after `response`, or None on the last."""
    if not response.next_page_token:
        return None
    request.page_token = response.next_page_token
    return request
