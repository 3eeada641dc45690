"""The house of the demo as the engine sees it: its instruments, its accounts, and its market moved by what coins did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.wire.instrument import instrument_from_message
from crossmargin.domain.account import AccountMode
from crossmargin.domain.book import ledger_amount
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.instrument import Instrument, Stablecoin, consideration
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.domain.market_building import followed_pegs
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position, net_holdings
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.house_view import house_view
from crossmargin.engine.revaluation import required_factors, revalue_market
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.usecases.current_market import MarketView
from crossmargin_cli.demo_data.institutions import INSTITUTIONS, DemoAccount, DemoTrade, instruments
from crossmargin_cli.demo_data.market import COINS, simulated_history, todays_levels, todays_marks

_BOOK: Final = BookId("main")
_USD: Final = InstrumentId("USD")
Portfolios = Mapping[AccountRef, Portfolio]


def demo_instruments() -> list[Instrument]:
    """Return every instrument of the demo, by its name."""
    return sorted(map(instrument_from_message, instruments()), key=lambda each: each.instrument_id)


def demo_portfolios() -> dict[AccountRef, Portfolio]:
    """Return the accounts of the demo after their deposits and trades, as the ledger would hold them."""
    known = {each.instrument_id: each for each in demo_instruments()}
    found = {}
    for institution in INSTITUTIONS:
        for account in institution.accounts:
            ref = AccountRef(ClientId(institution.client_id), AccountId(account.account_id))
            found[ref] = _portfolio(ref, account, known)
    return found


def moved_with_proxies(moves: Mapping[str, float], parameters: RiskParameters) -> dict[str, float]:
    """Return the move of every coin of the demo as a multiple: its own, or its proxy's to the power of the beta of the parameters."""
    found = {}
    for coin in COINS:
        if coin in moves:
            found[coin] = moves[coin]
        else:
            proxy = parameters.proxy_of_curve[f"spot:{coin}"]
            found[coin] = moves[FactorId(*proxy.proxy_curve.split(":")).name] ** float(proxy.beta)
    return found


def moved_snapshot(as_of: datetime, moves: Mapping[str, float]) -> MarketSnapshot:
    """Return the market of the demo with coins at multiples of their prices, and what is listed on a coin with it.

    Exchange rates, zero rates, volatilities, carries and stablecoins stand where the demo has them.
    """
    levels = {FactorId.parse(name): level for name, level in todays_levels().items()}
    levels = {factor: _moved(level, moves.get(factor.name, 1.0) if factor.curve[:4] == "spot" else 1.0) for factor, level in levels.items()}
    marks = {InstrumentId(name): _moved(mark, moves[name.partition("-")[0]]) for name, mark in todays_marks().items()}
    return MarketSnapshot(as_of, levels, marks)


@dataclass(slots=True)
class DemoMarket:
    """Makes of each snapshot what the service makes of it: pegs, a revaluation under scenarios of the demo's history, totals of the house.

    The scenarios are made once, at the start: the service makes them again only when a day is added to the history.
    """

    parameters: RiskParameters
    instruments: list[Instrument]
    scenarios: ScenarioSet
    before: MarketSnapshot | None = None

    @classmethod
    def at(cls, snapshot: MarketSnapshot, parameters: RiskParameters) -> DemoMarket:
        """Return the market that begins with a snapshot."""
        history = simulated_history()
        levels = {FactorId.parse(name): column for name, column in history.columns.items()}
        known = demo_instruments()
        factors = required_factors(known, snapshot)
        return cls(parameters, known, build_scenario_set(FactorHistory(history.dates, levels), factors, parameters))

    def view(self, snapshot: MarketSnapshot) -> MarketView:
        """Return the revalued market of a snapshot, which must be later than the one before."""
        coins = {each.instrument_id: each.terms for each in self.instruments if isinstance(each.terms, Stablecoin)}
        pegs = followed_pegs(snapshot, self.before, coins, self.parameters.charges.depeg)
        self.before = replace(snapshot, pegs=pegs)
        return MarketView(self.before, revalue_market(self.instruments, self.before, self.scenarios, self.parameters), self.parameters, 1)


def with_house(view: MarketView, portfolios: Portfolios) -> MarketView:
    """Return a view that knows what all accounts hold together."""
    house: HouseView = house_view(portfolios.values(), view.market, view.parameters)
    return replace(view, house=house)


def _portfolio(ref: AccountRef, account: DemoAccount, known: Mapping[InstrumentId, Instrument]) -> Portfolio:
    positions = [Position(_BOOK, InstrumentId(asset), Decimal(quantity)) for asset, quantity in account.deposits.items()]
    for trade in account.trades:
        positions += _postings(trade, known[InstrumentId(trade.instrument_id)])
    return Portfolio(
        account=ref,
        mode=AccountMode.ISOLATED if account.parent else AccountMode.CROSS,
        sequence=len(account.deposits) + len(account.pledged) + len(account.trades),
        holdings=net_holdings(positions),
        policies={InstrumentId(asset): CollateralPolicy.PLEDGED for asset in account.pledged},
    )


def _postings(trade: DemoTrade, instrument: Instrument) -> list[Position]:
    quantity = Decimal(trade.quantity)
    amount = ledger_amount(consideration(instrument, quantity=quantity, price=Decimal(trade.price)))
    if instrument.is_margined:
        return [Position(_BOOK, instrument.instrument_id, quantity, amount)]
    paid_in = instrument.settlement if not instrument.is_asset else _USD
    return [Position(_BOOK, instrument.instrument_id, quantity), Position(_BOOK, paid_in, -amount)]


def _moved(level: Decimal, ratio: float) -> Decimal:
    """Return a level times a ratio with eight significant digits; the level itself when nothing moved."""
    return level if ratio == 1.0 else Decimal(format(Decimal(f"{float(level) * ratio:.8g}"), "f"))
