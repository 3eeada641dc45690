"""Instruments that are valued together: their terms read once, and their valuations as arrays over all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByInstrument, ByInstrumentBase, ByInstrumentState, Index
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import BasisKind, Outcome, Revaluer, Valuation


@dataclass(frozen=True, eq=False)
class Members:
    """Instruments of one kind, and their rows [I] among all instruments; both ascending."""

    instruments: tuple[Instrument, ...]
    rows: Index


@dataclass(frozen=True, eq=False)
class ClaimBundle:
    """A `Claim` of each of the instruments: `amount` [I, M], `exposure` [I, B] or None for the amount itself."""

    asset: InstrumentId
    amount: ByInstrumentState
    group: OffsetGroup | None
    exposure: ByInstrumentBase | None = None


@dataclass(frozen=True, eq=False)
class Bundle:
    """Valuations of instruments that are alike in all that is no number, see `Valuation`.

    Attributes:
        rows: [I] of the instruments among all of them.
        settlement: What all of them settle in.
        residual_years: [I]. notional: [I, B] or None. peg_price: [I, B] or None.
        used_fraction, has_run_out: [I], or None for 1 and False.
    """

    rows: Index
    settlement: InstrumentId
    claims: tuple[ClaimBundle, ...]
    residual_years: ByInstrument
    notional: ByInstrumentBase | None = None
    basis: BasisKind = BasisKind.FACTORED
    is_option: bool = False
    group: OffsetGroup | None = None
    peg_price: ByInstrumentBase | None = None
    used_fraction: ByInstrument | None = None
    has_run_out: NDArray[np.bool_] | None = None


@dataclass(slots=True)
class Valued:
    """What came of valuing instruments: bundles, and by row why the others have no value."""

    bundles: list[Bundle] = field(default_factory=list)
    errors: dict[int, DomainError] = field(default_factory=dict)

    def add(self, other: Valued) -> None:
        """Take in what came of others."""
        self.bundles += other.bundles
        self.errors |= other.errors


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What of a snapshot is known of each instrument [I, all of them]: its mark, NaN without one, and whether it is to be valued at all."""

    mark: ByInstrument
    is_valued: NDArray[np.bool_]


class PreparedKind(Protocol):
    """Instruments of one kind with all of their terms that no snapshot changes laid out."""

    def value(self, market: ShockedMarket, asked: Asked) -> Valued:
        """Return what came of those of its instruments that are to be valued."""
        ...


Preparer: TypeAlias = Callable[[Members], PreparedKind]


def each_time(revalue: Revaluer) -> Preparer:
    """Return the preparer of a kind whose terms are read with every snapshot: nothing is laid out but what came of them."""
    return lambda members: _EachTime(members, revalue)


@dataclass(frozen=True, eq=False)
class _EachTime:
    members: Members
    revalue: Revaluer

    def value(self, market: ShockedMarket, asked: Asked) -> Valued:
        places = np.flatnonzero(asked.is_valued[self.members.rows])
        instruments = [self.members.instruments[place] for place in places.tolist()]
        return _bundled(instruments, self.members.rows[places].tolist(), self.revalue(instruments, market))


def _bundled(instruments: Sequence[Instrument], rows: Sequence[int], outcomes: Sequence[Outcome]) -> Valued:
    """Return valuations of one instrument each as bundles of those that are alike."""
    valued = Valued()
    alike: defaultdict[Hashable, list[tuple[int, InstrumentId, Valuation]]] = defaultdict(list)
    for instrument, row, outcome in zip(instruments, rows, outcomes, strict=True):
        if isinstance(outcome, DomainError):
            valued.errors[row] = outcome
        else:
            alike[instrument.settlement, *_shape(outcome)].append((row, instrument.settlement, outcome))
    for members in alike.values():
        valuations = [valuation for _, _, valuation in members]
        valued.bundles.append(_bundle(np.array([row for row, _, _ in members]), members[0][1], valuations))
    return valued


def _shape(valuation: Valuation) -> tuple[Hashable, ...]:
    """Return all of a valuation that is no number; of a group its id, which is all that tells groups of one set apart."""
    claims = tuple((claim.asset, _name(claim.group), claim.exposure is None) for claim in valuation.claims)
    present = valuation.notional is None, valuation.peg_price is None
    return claims, present, valuation.basis, valuation.is_option, _name(valuation.group)


def _name(group: OffsetGroup | None) -> str | None:
    return None if group is None else group.group_id


def _bundle(rows: Index, settlement: InstrumentId, valuations: Sequence[Valuation]) -> Bundle:
    first = valuations[0]
    claims = zip(*(each.claims for each in valuations), strict=True)
    return Bundle(
        rows=rows,
        settlement=settlement,
        claims=tuple(
            ClaimBundle(each[0].asset, _stacked([claim.amount for claim in each]), each[0].group, _all([claim.exposure for claim in each]))
            for each in claims
        ),
        residual_years=np.array([each.residual_years for each in valuations]),
        notional=_all([each.notional for each in valuations]),
        basis=first.basis,
        is_option=first.is_option,
        group=first.group,
        peg_price=_all([each.peg_price for each in valuations]),
        used_fraction=np.array([each.used_fraction for each in valuations]),
        has_run_out=np.array([each.has_run_out for each in valuations]),
    )


def _all(parts: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """Return parts as rows; None where they are, which all of them are or none is."""
    return None if parts[0] is None else _stacked([part for part in parts if part is not None])


def _stacked(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return parts[0][np.newaxis] if len(parts) == 1 else np.stack(parts)
