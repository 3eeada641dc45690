"""What somebody is to the broker, and so what he may ask for."""

from __future__ import annotations

from enum import Enum, unique


@unique
class Role(Enum):
    """A part that a caller plays. Which calls it opens is written in the access policy, and nowhere else."""

    TRADER = "trader"
    RISK = "risk"
    OPERATIONS = "operations"
    PUBLISHER = "publisher"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


ALL_ROLES = frozenset(Role)
