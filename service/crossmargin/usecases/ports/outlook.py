"""Where people learn of outlooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.outlook import Outlook


class OutlookReports(Protocol):
    """Where people learn where the utilization of accounts goes. Of the process that leads."""

    def outlooks_seen(self, outlooks: Mapping[AccountRef, Outlook]) -> None:
        """Publish the outlook of every account in place of the ones before."""
        ...

    def withdraw_outlooks(self) -> None:
        """Stop publishing: this process no longer leads, or does not know."""
        ...
