"""A house as a monitor reads it: owners of one account and of several, isolated ones among them, in a market that is slow to sell in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from crossmargin.domain.account import Account, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.packed_positions import PackedPositions, packed
from crossmargin.domain.position import Position
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.ports.books import PackedState
from tests.builders import charges_document
from tests.unit.engine.revaluation.markets import GROUPS, parameters
from tests.unit.engine.stressed_books import INSTRUMENTS, ROWS, SNAPSHOT, a_market

HELD = {"USD", "BTC", "ETH", "PERP-LINEAR-USD", "CALL-CASH"}


def a_view(*, held: Collection[str] = HELD, average_daily_volume: str = "2000") -> MarketView:
    """A market of a few instruments, in which what several accounts of an owner hold takes longer to sell than what each holds."""
    slow = {name: row | {"average_daily_volume": average_daily_volume} for name, row in ROWS.items()}
    rules = parameters(tail_fraction="0.1", charges=charges_document(GROUPS, rows=slow))
    market = a_market(instruments=[each for each in INSTRUMENTS if each.instrument_id in held], rules=rules)
    return MarketView(SNAPSHOT, market, rules, history_version=1)


def a_state(
    client: str,
    account: str,
    book: Mapping[str, float | tuple[float, float]] | PackedPositions,
    *,
    mode: AccountMode = AccountMode.CROSS,
    sequence: int = 1,
    policies: Mapping[InstrumentId, CollateralPolicy] | None = None,
) -> PackedState:
    """An account as of an entry; `book` holds units, or units and cost, by instrument."""
    ref = AccountRef(ClientId(client), AccountId(account))
    parent = AccountId("core") if mode is AccountMode.ISOLATED else None
    head = AccountHead(ref, mode, AccountStatus.OPEN, sequence, b"\0" * 32)
    held = book if isinstance(book, PackedPositions) else packed(_position(name, units) for name, units in sorted(book.items()))
    return PackedState(Account(ref, "An account", mode, parent), head, held, policies or {})


def a_house() -> dict[AccountRef, PackedState]:
    """Nine accounts of three owners, in the order of their names."""
    states = [
        *(a_state("alpha", f"a{size}", _hedged(size)) for size in range(1, 5)),
        a_state("alpha", "bucket", _hedged(3), mode=AccountMode.ISOLATED),
        a_state("beta", "core", {"USD": 100_000, "CALL-CASH": 2}, policies={InstrumentId("USD"): CollateralPolicy.PLEDGED}),
        *(a_state("gamma", f"g{size}", {"USD": 900_000.25, "ETH": size, "BTC": 0.1 * size}) for size in range(1, 4)),
    ]
    return {state.account.ref: state for state in states}


def _hedged(size: int) -> Mapping[str, float | tuple[float, float]]:
    return {"USD": 100_000 + size, "BTC": size, "PERP-LINEAR-USD": (-0.5 * size, -30_060.0 * size)}


def _position(name: str, units: float | tuple[float, float]) -> Position:
    quantity, cost = units if isinstance(units, tuple) else (units, 0)
    return Position(BookId("main"), InstrumentId(name), Decimal(str(quantity)), Decimal(str(cost)))
