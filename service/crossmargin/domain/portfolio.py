"""What the engine is asked about: one account's holdings and how its collateral is to be treated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.house import NO_HOUSE, HouseView
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.position import Holding


@dataclass(frozen=True, eq=False)
class Portfolio:
    """One account as of one ledger entry.

    Attributes:
        sequence: Last entry of the account that `holdings` contain.
        holdings: Sorted by instrument, one for each.
        policies: How positive holdings of assets and bonds count; the risk parameters' default where nothing is said.
        house: What all accounts hold together; NO_HOUSE for an account that stands by itself.
        risked_fractions: Shares of holdings that are risked, decided beforehand. Of those their policy says no more than whether the rest
            is pledged: of RISKED it is left out, and counts nothing.
        methodology: What the requirement is computed by.
    """

    account: AccountRef
    mode: AccountMode
    sequence: int
    holdings: Sequence[Holding]
    policies: Mapping[InstrumentId, CollateralPolicy] = field(default_factory=dict)
    risked_fractions: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    house: HouseView = NO_HOUSE
    methodology: Methodology = Methodology.EXPECTED_SHORTFALL
