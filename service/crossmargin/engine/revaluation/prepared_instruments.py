"""What of a set of instruments no snapshot changes, read once: their order, what they settle in, the curves they need, and their terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    Cash,
    CashFlows,
    CryptoAsset,
    DatedFuture,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    Instrument,
    InterestRateSwap,
    NonDeliverableForward,
    Perpetual,
    Stablecoin,
)
from crossmargin.domain.market import FactorId
from crossmargin.engine.axes import Index
from crossmargin.engine.revaluation import (
    american_option,
    asset,
    bill,
    bond_future,
    cash_flows,
    dated_future,
    european_option,
    fixed_rate_bond,
    floating_rate_note,
    fx_forward,
    fx_option,
    interest_rate_swap,
    non_deliverable_forward,
    perpetual,
)
from crossmargin.engine.revaluation.bundle import Members, PreparedKind, Preparer, each_time
from crossmargin.engine.revaluation.shocked_market import price_factor
from crossmargin.engine.revaluation.valuation import CurvesOf


class _Kind(NamedTuple):
    prepare: Preparer
    curves: CurvesOf


_ASSET: Final = _Kind(each_time(asset.revalue), asset.curves)
KINDS: Final[Mapping[type, _Kind]] = {
    Cash: _ASSET,
    Stablecoin: _ASSET,
    CryptoAsset: _ASSET,
    Perpetual: _Kind(perpetual.prepare, perpetual.curves),
    DatedFuture: _Kind(each_time(dated_future.revalue), dated_future.curves),
    BondFuture: _Kind(each_time(bond_future.revalue), bond_future.curves),
    EuropeanOption: _Kind(european_option.prepare, european_option.curves),
    AmericanOption: _Kind(each_time(american_option.revalue), american_option.curves),
    FxOption: _Kind(each_time(fx_option.revalue), fx_option.curves),
    FxForward: _Kind(each_time(fx_forward.revalue), fx_forward.curves),
    NonDeliverableForward: _Kind(each_time(non_deliverable_forward.revalue), non_deliverable_forward.curves),
    Bill: _Kind(bill.prepare, bill.curves),
    FixedRateBond: _Kind(fixed_rate_bond.prepare, fixed_rate_bond.curves),
    FloatingRateNote: _Kind(floating_rate_note.prepare, floating_rate_note.curves),
    InterestRateSwap: _Kind(each_time(interest_rate_swap.revalue), interest_rate_swap.curves),
    CashFlows: _Kind(each_time(cash_flows.revalue), cash_flows.curves),
}


@dataclass(frozen=True, eq=False)
class PreparedInstruments:
    """Instruments in the order of their ids, ready to be valued in any snapshot; they hold as long as the set of instruments stays.

    Attributes:
        instruments: By id. assets: Money and coins among them.
        kinds: The instruments of each kind, their terms laid out.
        needs: The sets of assets that instruments refer to, sorted, with the rows that do.
    """

    instruments: tuple[Instrument, ...]
    assets: Mapping[InstrumentId, Instrument]
    kinds: tuple[PreparedKind, ...]
    needs: tuple[tuple[tuple[InstrumentId, ...], Index], ...]

    @cached_property
    def settlement_row(self) -> Index:
        """[I] row of what each settles in; its own where that is missing, and the instrument cannot be valued."""
        row_of = {instrument.instrument_id: row for row, instrument in enumerate(self.instruments)}
        return np.array([row_of.get(each.settlement, row) for row, each in enumerate(self.instruments)], dtype=np.int64)

    @cached_property
    def is_asset(self) -> np.ndarray:
        """[I] True for money and coins."""
        return np.array([instrument.is_asset for instrument in self.instruments], dtype=np.bool_)

    @cached_property
    def curves(self) -> frozenset[str]:
        """Names of the curves that the instruments are valued from.

        An instrument whose settlement asset is not among them cannot be valued and needs nothing.
        """
        return required_curves(self.instruments)


def prepared(instruments: Collection[Instrument] | PreparedInstruments) -> PreparedInstruments:
    """Return instruments prepared, themselves if they are."""
    if isinstance(instruments, PreparedInstruments):
        return instruments
    ordered = tuple(sorted(instruments, key=lambda instrument: instrument.instrument_id))
    by_kind: defaultdict[type, list[int]] = defaultdict(list)
    needs: defaultdict[tuple[InstrumentId, ...], list[int]] = defaultdict(list)
    for row, instrument in enumerate(ordered):
        by_kind[type(instrument.terms)].append(row)
        needs[tuple(sorted({instrument.settlement, *instrument.references()}))].append(row)
    return PreparedInstruments(
        instruments=ordered,
        assets={instrument.instrument_id: instrument for instrument in ordered if instrument.is_asset},
        kinds=tuple(KINDS[kind].prepare(Members(tuple(ordered[row] for row in rows), np.array(rows))) for kind, rows in by_kind.items()),
        needs=tuple((assets, np.array(rows)) for assets, rows in needs.items()),
    )


def required_curves(instruments: Collection[Instrument]) -> frozenset[str]:
    """Return the curves that the instruments are valued from.

    An instrument whose settlement asset is not among `instruments` cannot be valued and needs nothing.
    """
    assets = {instrument.instrument_id: instrument for instrument in instruments if instrument.is_asset}
    curves: set[str] = set()
    for instrument in instruments:
        if instrument.references() <= assets.keys():
            curves |= KINDS[type(instrument.terms)].curves(instrument, assets)
            curves |= {factor.curve for factor in _price_factors(instrument, assets)}
    return frozenset(curves)


def _price_factors(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> Iterator[FactorId]:
    for asset_id in {instrument.settlement, *instrument.references()}:
        factor = price_factor(assets[asset_id])
        if factor is not None:
            yield factor
