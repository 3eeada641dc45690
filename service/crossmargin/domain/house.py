"""What all accounts hold together: totals that the margin of one account depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Final, SupportsIndex

from crossmargin.domain.identifiers import AccountRef, ClientId, HouseViewId, InstrumentId, OffsetGroupId
from crossmargin.domain.money import format_decimal
from crossmargin.domain.worked_out_once import WorkedOutOnce


@dataclass(frozen=True, eq=False)
class HouseView(WorkedOutOnce):
    """Totals over all accounts at one house run. Immutable; its id is the hash of its content.

    Attributes:
        held: Units of each asset and bond but the base currency that all clients hold; what is owed does not take off.
        owned: Units that the cross accounts of a client hold together, where several of its accounts hold something.
        owner_liquidity: What the liquidity charge over all accounts of a client adds to the charges of its accounts: by account and
            offset group, base currency, above zero.
        owner_basis: What the tiers of the basis charge between stablecoins over all accounts of a client add to the charges of its
            accounts: by account, base currency, above zero.
        owned_isolated: Units that the isolated accounts of a client hold together, where several of these hold something.
    """

    held: Mapping[InstrumentId, Decimal]
    owned: Mapping[ClientId, Mapping[InstrumentId, Decimal]]
    owner_liquidity: Mapping[AccountRef, Mapping[OffsetGroupId, Decimal]]
    owned_isolated: Mapping[ClientId, Mapping[InstrumentId, Decimal]] = field(default_factory=dict)
    owner_basis: Mapping[AccountRef, Decimal] = field(default_factory=dict)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[object, ...]:
        # Nothing known is told from nothing held by what it is, and has to stay so in another process.
        return "NO_HOUSE" if self is NO_HOUSE else super().__reduce_ex__(protocol)

    @cached_property
    def document(self) -> str:
        """The content as canonical JSON: sorted keys, decimals as strings."""
        content: dict[str, object] = {
            "held": _amounts(self.held),
            "owned": _by_client(self.owned),
            "owner_liquidity": {str(account): _amounts(groups) for account, groups in self.owner_liquidity.items()},
        }
        if self.owned_isolated:
            content["owned_isolated"] = _by_client(self.owned_isolated)
        if self.owner_basis:
            content["owner_basis"] = {str(account): format_decimal(amount) for account, amount in self.owner_basis.items()}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @cached_property
    def view_id(self) -> HouseViewId:
        """The first 32 hexadecimal digits of the SHA-256 of the document."""
        return HouseViewId(hashlib.sha256(self.document.encode()).hexdigest()[:32])


NO_HOUSE: Final = HouseView({}, {}, {})
"""Nothing is known of any other account: every account stands by itself."""


def house_view_from_document(text: str) -> HouseView:
    """Return the view that `HouseView.document` spells."""
    content = json.loads(text)
    return HouseView(
        held={InstrumentId(name): Decimal(units) for name, units in content["held"].items()},
        owned=_owned_from(content["owned"]),
        owner_liquidity={
            AccountRef.parse(account): {OffsetGroupId(group): Decimal(amount) for group, amount in groups.items()}
            for account, groups in content["owner_liquidity"].items()
        },
        owned_isolated=_owned_from(content.get("owned_isolated", {})),
        owner_basis={AccountRef.parse(account): Decimal(amount) for account, amount in content.get("owner_basis", {}).items()},
    )


def _by_client(owned: Mapping[ClientId, Mapping[InstrumentId, Decimal]]) -> dict[str, dict[str, str]]:
    return {client: _amounts(held) for client, held in owned.items()}


def _owned_from(content: Mapping[str, Mapping[str, str]]) -> dict[ClientId, dict[InstrumentId, Decimal]]:
    return {ClientId(client): {InstrumentId(name): Decimal(units) for name, units in held.items()} for client, held in content.items()}


def _amounts(amounts: Mapping[InstrumentId, Decimal] | Mapping[OffsetGroupId, Decimal]) -> dict[str, str]:
    return {str(name): format_decimal(amount) for name, amount in amounts.items()}
