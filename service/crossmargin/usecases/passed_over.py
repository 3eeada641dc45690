"""Let one account that cannot be written not hold up the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from crossmargin.domain.errors import DomainError, Reason

MOST_PASSED_OVER: Final = 5
"""Accounts of one round; each was waited for. When more are held up it is no account that is busy, but the storage."""


class PassedOver:
    """The accounts of one round that a writer could not do: somebody holds their lock, or they refuse what is due."""

    def __init__(self) -> None:
        self._errors: list[DomainError] = []

    @contextmanager
    def one_account(self) -> Iterator[None]:
        """Do what is due of one account, and go on when it is refused; not when nothing can be stored, or too many were passed over."""
        try:
            yield
        except DomainError as error:
            self._errors.append(error)
            if error.reason is Reason.STORAGE_UNAVAILABLE or len(self._errors) > MOST_PASSED_OVER:
                raise

    def check(self) -> None:
        """Return when nobody was passed over; otherwise raise what the first one was passed over for, so that the round is made again."""
        if self._errors:
            raise self._errors[0]
