"""What the tiers of the basis charge cost one owner's accounts together beyond what they cost one by one."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Final

from crossmargin.domain.identifiers import AccountRef
from crossmargin.engine.charges.basis import BasisCharge, tiered_charge
from crossmargin.engine.portfolio_arrays import cents_to_decimal, requirement_to_cents

_LEAST_CENTS: Final = 1
"""Less is noise of the sums, and not worth another view."""


def owner_basis(
    charges: Mapping[AccountRef, BasisCharge], isolated: AbstractSet[AccountRef], tiers: tuple[tuple[float, float], ...]
) -> Mapping[AccountRef, Decimal]:
    """Return what each account of one owner is charged beyond its own basis charge, in whole cents.

    What accounts match between stablecoins is added up before the tiers are read, each kind of it by itself. The difference to the
    accounts' own charges is shared pro rata to what they match: first among the cross accounts, as if there were no isolated ones, then
    what the isolated ones add to that among themselves. A hedge whose sides are in two accounts is matched in neither, and is margined
    in both without it.

    Args:
        charges: Of each account, margined by itself, without any house view.
        isolated: Which of them are isolated.
        tiers: (upper end, charge fraction), lowest first.
    """
    added = dict.fromkeys(charges, 0.0)
    for pool in sorted({pool for charge in charges.values() for pool in charge.tiered_matched}):
        matched = {account: charge.tiered_matched[pool] for account, charge in charges.items() if pool in charge.tiered_matched}
        cross = {account: amount for account, amount in matched.items() if account not in isolated}
        buckets = {account: amount for account, amount in matched.items() if account in isolated}
        charged = _excess(cross, tiers)
        for parts, amount in ((cross, charged), (buckets, _excess(matched, tiers) - charged)):
            for account, own in parts.items():
                added[account] += amount * own / sum(parts.values())
    scale = sum(sum(charge.tiered_matched.values()) for charge in charges.values())
    cents = {account: requirement_to_cents(amount, scale=scale) for account, amount in added.items()}
    return {account: cents_to_decimal(amount) for account, amount in cents.items() if amount >= _LEAST_CENTS}


def _excess(matched: Mapping[AccountRef, float], tiers: tuple[tuple[float, float], ...]) -> float:
    """Return by how much the charge on everything that is matched exceeds the charges of the accounts; zero when it does not."""
    return max(0.0, tiered_charge(sum(matched.values()), tiers) - sum(tiered_charge(amount, tiers) for amount in matched.values()))
