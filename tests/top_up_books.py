"""One account on a market that can be followed by hand, with an inventory to top it up from."""

from __future__ import annotations

from decimal import Decimal

from crossmargin.domain.account import Account, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.house import NO_HOUSE
from crossmargin.domain.identifiers import AccountId, BookId, InstrumentId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.position import Position
from crossmargin.domain.top_up import InventoryItem, TopUpGoal, TopUpTarget
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.ports.books import AccountState
from crossmargin.usecases.top_up_trial import TopUpTrial
from tests.builders import ACCOUNT, AS_OF, a_haircut_row
from tests.charge_books import a_market, issuers, parameters

D = Decimal
MARKET = a_market()
PLACES = {"USD": 2, "EUR": 2}
INITIAL = TopUpTarget(TopUpGoal.INITIAL_MARGIN)


def at_utilization(utilization):
    return TopUpTarget(TopUpGoal.UTILIZATION, D(utilization))


def rules(*, policy="auto", haircuts=(), **charges):
    """Haircuts of the market's assets in tiers and limits: dollars none, BTC 20% to 1,000 and 40% to 3,000, RLUSD 2% and at most 40%."""
    tiers = [{"up_to": "1000", "haircut_fraction": "0.2"}, {"up_to": "3000", "haircut_fraction": "0.4"}]
    schedule = [
        a_haircut_row("USD"),
        a_haircut_row("BTC", residual="0.02", bands=[{"up_to_years": None, "tiers": [*tiers, {"up_to": None, "haircut_fraction": "1"}]}]),
        a_haircut_row("STABLE", residual="0.02", flat="0.02", share_limit="0.4"),
        a_haircut_row("ALT", residual="0.05", flat="0.35"),
        a_haircut_row("G10-CASH", flat="0.01", has_fx_mismatch=True),
    ]
    replaced = {row["collateral_class"]: row for row in haircuts}
    merged = [replaced.get(row["collateral_class"], row) for row in schedule]
    charges = {"issuers": issuers(collateral_limit="5000")} | charges
    return parameters(beside={"haircut_schedule": merged, "default_policy": policy}, **charges)


def item(name, quantity, rate="0", *, lot=None, least="0"):
    return InventoryItem(InstrumentId(name), D(str(quantity)), D(str(rate)), None if lot is None else D(str(lot)), D(str(least)))


def a_view(risk, *, house=NO_HOUSE):
    return MarketView(MarketSnapshot(AS_OF, {}, {}), MARKET, risk, 1, house=house)


def a_state(held, *, mode=AccountMode.CROSS, account=ACCOUNT, policies=None):
    positions = []
    for name, what in held.items():
        quantity, cost = what if isinstance(what, tuple) else (what, 0)
        positions.append(Position(BookId("main"), InstrumentId(name), D(str(quantity)), D(str(cost))))
    named = {InstrumentId(name): CollateralPolicy(policy) for name, policy in (policies or {}).items()}
    parent = AccountId("core") if mode is AccountMode.ISOLATED else None
    head = AccountHead(account, mode, AccountStatus.OPEN, 1, b"")
    return AccountState(Account(account, "An account", mode, parent), head, tuple(positions), named)


def a_trial(held, inventory, target=INITIAL, *, risk=None, house=NO_HOUSE, called=None, others=(), **options):
    """A trial on an account that holds `held`; `others` are states of other accounts of its client."""
    state = a_state(held, **options)
    states = {state.account.ref: state} | {other.account.ref: other for other in others}
    places = {one.instrument_id: PLACES.get(one.instrument_id, 8) for one in inventory}
    return TopUpTrial(a_view(risk or rules(), house=house), states, state.account.ref, inventory, target, called=called, places=places)
