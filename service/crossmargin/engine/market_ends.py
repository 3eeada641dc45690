"""The ends of a market that is doubted: how well and how badly off an account may really be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import product
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.margin import DataQuality, DoubtedInput, MarginResult
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_gate import gated, may_liquidate
from crossmargin.domain.market_quality import Quality
from crossmargin.domain.money import EXACT, LEDGER_UNIT, round_down_to_cent, round_up_to_cent
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.quote import Subject, subject_from_text
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.margin_bridges import UTILIZATION_UNIT, band_of
from crossmargin.engine.methodologies.compute import compute, compute_brief
from crossmargin.engine.revaluation import required_curves, required_factors, revalue_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket, part_of, with_rows_of

Figures: TypeAlias = NDArray[np.float64]
"""[..., 3] equity, maintenance margin and initial margin, base currency."""
Weights: TypeAlias = NDArray[np.float64]
"""[3] of a combination of the three."""

MOST_JOINT: Final = 2
"""Doubted inputs that are looked at together, on a grid; of more, each is looked at alone and what they do together is allowed for."""
LARGEST_UTILIZATION: Final = 1000.0
"""Above it utilization counts as infinite."""
_SEARCH: Final = np.geomspace(1e-4, LARGEST_UTILIZATION, 141)
_BISECTIONS: Final = 50
_KINK: Final = 2.0
"""What lies between two nodes is off the line between them by at most so many times what a node is off the line between its neighbours,
for a figure that is smooth on that scale or has one kink in between."""


def margin_with_ends(
    portfolio: Portfolio, snapshot: MarketSnapshot, market: RevaluedMarket, parameters: RiskParameters, *, is_brief: bool = False
) -> MarginResult:
    """Return the margin of one account at a snapshot, with what doubted levels and marks leave open; raises what `compute` raises.

    `market` is the snapshot revalued. With everything valid that the account is exposed to, this is `compute`, or `compute_brief`.
    """
    result = (compute_brief if is_brief else compute)(portfolio, market, parameters)
    return gated(result, data_quality(portfolio, snapshot, market, parameters, result))


def data_quality(
    portfolio: Portfolio, snapshot: MarketSnapshot, market: RevaluedMarket, parameters: RiskParameters, at_levels: MarginResult
) -> DataQuality | None:
    """Return how far the margin of an account is left open by the doubted levels and marks that it is exposed to; None by none.

    The account is revalued in full with the doubted inputs at the ends of their ranges and in between, each mark that is not doubted
    standing still. What it can be between the points looked at is bounded by how much it bends there: nothing for what moves in a line.
    `at_levels` is the margin at the snapshot as it is.
    """
    if not snapshot.doubted_levels and not snapshot.doubted_marks:
        return None
    account = _Account(portfolio, snapshot, market, parameters, at_levels)
    dials = [dial for dial in account.dials() if account.is_exposed_to(dial)]
    if not dials:
        return None
    surface = _surface(account, dials)
    lines, ticks = parameters.bands, parameters.market_quality.confirming_ticks
    low, high = utilization_ends(surface)
    doubted = tuple(DoubtedInput(str(dial.subject), dial.quality) for dial in dials)
    excess = surface.bounds(np.array([1.0, 0.0, -1.0])) if surface is not None else (None, None)
    return DataQuality(
        doubted=doubted,
        utilization_low=low,
        utilization_high=high,
        excess_to_initial_low=None if excess[0] is None else round_down_to_cent(Decimal(excess[0])),
        excess_to_initial_high=None if excess[1] is None else round_up_to_cent(Decimal(excess[1])),
        best_band=band_of(low, lines),
        worst_band=band_of(high, lines),
        may_liquidate=may_liquidate(doubted, confirming_ticks=ticks),
    )


def doubts_touched_by(
    instruments: Iterable[InstrumentId], quality: DataQuality | None, market: RevaluedMarket, parameters: RiskParameters
) -> tuple[DoubtedInput, ...]:
    """Return those of an account's doubted inputs that a change in some instruments rests on: theirs, and those of their hedges.

    What shares an offset group with an instrument hedges it. Of an instrument that could not be valued every input counts.
    """
    if quality is None:
        return ()
    names = set(instruments)
    if not names <= market.row_of.keys():
        return quality.doubted
    touched = _groups_of(names, market)
    return tuple(
        each for each in quality.doubted if each.subject in names or not touched.isdisjoint(_groups_of_input(each, market, parameters))
    )


def _groups_of_input(doubted: DoubtedInput, market: RevaluedMarket, parameters: RiskParameters) -> frozenset[str]:
    subject = subject_from_text(doubted.subject)
    if isinstance(subject, FactorId):
        return frozenset({parameters.group_of(subject).group_id})
    return _groups_of({subject}, market)


def _groups_of(names: AbstractSet[InstrumentId], market: RevaluedMarket) -> frozenset[str]:
    rows = [market.row_of[name] for name in names]
    return frozenset(market.groups[group] for group in market.leg_group[np.isin(market.leg_instrument, rows)].tolist())


@dataclass(frozen=True, slots=True)
class Dial:
    """One doubted input. `nodes` ascend from one end of its range to the other; the level that the snapshot has is one of them."""

    subject: Subject
    quality: Quality
    level: Decimal
    nodes: tuple[Decimal, ...]

    @property
    def rest(self) -> int:
        """Place of the snapshot's own level among the nodes."""
        return self.nodes.index(self.level)


class _Account:
    """One account at markets that differ in some inputs. Only what reads them is revalued, and every market is looked at once."""

    def __init__(
        self,
        portfolio: Portfolio,
        snapshot: MarketSnapshot,
        market: RevaluedMarket,
        parameters: RiskParameters,
        at_levels: MarginResult,
    ) -> None:
        known = {instrument.instrument_id: instrument for instrument in market.instruments}
        self._portfolio = portfolio
        self._parameters = parameters
        self._instruments = _with_assets([known[holding.instrument_id] for holding in portfolio.holdings], known)
        self._assets_of = {each.instrument_id: _with_assets([each], known) for each in self._instruments}
        curves_of = {name: required_curves(read) for name, read in self._assets_of.items()}
        doubted_levels = snapshot.doubted_levels
        self._doubts_of = {
            name: frozenset(factor for factor in doubted_levels if factor.curve in curves) for name, curves in curves_of.items()
        }
        read = required_factors(self._instruments, snapshot)
        self._snapshot = MarketSnapshot(
            snapshot.as_of,
            {factor: snapshot.levels[factor] for factor in sorted(read)},
            {name: snapshot.marks[name] for name in sorted(self._assets_of) if name in snapshot.marks},
            pegs={name: snapshot.pegs[name] for name in sorted(self._assets_of) if name in snapshot.pegs},
        )
        self._doubted: dict[Subject, Quality] = {
            **{factor: quality for factor, quality in doubted_levels.items() if factor in read},
            **{name: quality for name, quality in snapshot.doubted_marks.items() if name in self._assets_of},
        }
        # What the account holds, and nothing of what that is paid in: an asset that is only paid in may stand where it likes.
        self._held = {holding.instrument_id for holding in portfolio.holdings}
        self._at_rest = part_of(market, self._instruments)
        self._seen: dict[tuple[tuple[str, Decimal], ...], Figures | None] = {(): _figures(at_levels)}
        self._exposing: set[Subject] = set()

    def dials(self) -> list[Dial]:
        """Return the doubted inputs that anything the account holds is valued from, in the order of their names."""
        return [self._dial(subject) for subject in sorted(self._doubted, key=str)]

    def is_exposed_to(self, dial: Dial) -> bool:
        """Return whether anything that is held is worth, or risks, something else at an end of the range."""
        for end in (dial.nodes[0], dial.nodes[-1]):
            self.figures({dial.subject: end})
        return dial.subject in self._exposing

    def figures(self, inputs: Mapping[Subject, Decimal]) -> Figures | None:
        """Return equity, maintenance and initial margin with some inputs set; None where something held cannot be valued."""
        moved = {subject: value for subject, value in inputs.items() if value != self._level(subject)}
        key = tuple(sorted((str(subject), value) for subject, value in moved.items()))
        if key not in self._seen:
            self._seen[key] = self._evaluated(moved)
        return self._seen[key]

    def _evaluated(self, moved: Mapping[Subject, Decimal]) -> Figures | None:
        touched = [each for each in self._instruments if self._reads(each, moved)]
        known = {instrument.instrument_id: instrument for instrument in self._instruments}
        snapshot = self._with(moved)
        revalued = revalue_market(
            _with_assets(touched, known), snapshot, self._at_rest.scenarios, self._parameters, kernels=self._at_rest.kernels
        )
        market = replace(with_rows_of(self._at_rest, revalued), snapshot=snapshot)
        if self._held & market.unavailable.keys():
            self._exposing |= moved.keys()
            return None
        if self._differs(market):
            self._exposing |= moved.keys()
        return _figures(compute_brief(self._portfolio, market, self._parameters))

    def _differs(self, market: RevaluedMarket) -> bool:
        rest, rows = self._at_rest, [self._at_rest.row_of[name] for name in sorted(self._held)]
        is_held = np.zeros(len(rest.instruments), dtype=np.bool_)
        is_held[rows] = True
        legs = is_held[rest.leg_instrument]
        return bool((rest.unit_value != market.unit_value)[is_held].any() or (rest.leg_pnl != market.leg_pnl)[legs].any())

    def _with(self, moved: Mapping[Subject, Decimal]) -> MarketSnapshot:
        factors = {subject: value for subject, value in moved.items() if isinstance(subject, FactorId)}
        names = {subject: value for subject, value in moved.items() if not isinstance(subject, FactorId)}
        rest = self._snapshot
        # A slow price stands: a price above it is what nobody believes yet, and one below it counts at once.
        return MarketSnapshot(rest.as_of, {**rest.levels, **factors}, {**rest.marks, **names}, pegs=rest.pegs)

    def _reads(self, instrument: Instrument, moved: Mapping[Subject, Decimal]) -> bool:
        name = instrument.instrument_id
        marks = {asset.instrument_id for asset in self._assets_of[name]}
        return any(subject in (self._doubts_of[name] if isinstance(subject, FactorId) else marks) for subject in moved)

    def _dial(self, subject: Subject) -> Dial:
        quality, level = self._doubted[subject], self._level(subject)
        between = {_middle(quality.low, level), level, _middle(level, quality.high)}
        return Dial(subject, quality, level, tuple(sorted({quality.low, *between, quality.high})))

    def _level(self, subject: Subject) -> Decimal:
        return self._snapshot.levels[subject] if isinstance(subject, FactorId) else self._snapshot.marks[subject]


@dataclass(frozen=True, eq=False)
class Grid:
    """Figures at every combination of the nodes of a few dials: one axis for each, and the figures along the last."""

    positions: tuple[NDArray[np.float64], ...]
    figures: Figures

    def bounds(self, weights: Weights) -> tuple[float, float]:
        """Return what a combination of the figures can be anywhere on the grid, and between its nodes."""
        values = self.figures @ weights
        allowance = sum(_KINK * float(np.max(_bend(np.moveaxis(values, axis, -1), at))) for axis, at in enumerate(self.positions))
        return float(values.min()) - allowance, float(values.max()) + allowance


@dataclass(frozen=True, eq=False)
class Star:
    """Figures along each of many dials with all others at rest, and at two corners, where all are at once at an end.

    Attributes:
        rest: [3] with all at rest.
        rays: Of each dial the positions of its nodes and the figures there.
        corners: Figures at a corner, and the node of each dial there.
    """

    rest: Figures
    rays: tuple[tuple[NDArray[np.float64], Figures], ...]
    corners: tuple[tuple[Figures, tuple[int, ...]], ...]

    def bounds(self, weights: Weights) -> tuple[float, float]:
        """Return what a combination of the figures can be: what each dial does alone added up, and what they do together on top.

        That is taken to be at most what they were seen to do together, at a corner, beyond the sum.
        """
        rest = float(self.rest @ weights)
        low = high = rest
        changes = []
        for position, figures in self.rays:
            change = figures @ weights - rest
            allowance = _KINK * float(np.max(_bend(change, position)))
            low += min(0.0, float(change.min())) - allowance
            high += max(0.0, float(change.max())) + allowance
            changes.append(change)
        together = [
            abs(float(figures @ weights) - rest - sum(float(change[node]) for change, node in zip(changes, nodes, strict=True)))
            for figures, nodes in self.corners
        ]
        return low - max(together), high + max(together)


Surface: TypeAlias = Grid | Star


def utilization_ends(surface: Surface | None) -> tuple[Decimal | None, Decimal | None]:
    """Return utilization at the most and at the least favourable end; None is infinite.

    Utilization is at most L where L x equity covers the maintenance margin. So the best is the least L for which it does so somewhere, and
    the worst the least L for which it does so everywhere. Of what cannot be valued anything may be true: 0 and infinite.
    """
    if surface is None:
        return Decimal(0), None
    least_equity, most_equity = surface.bounds(np.array([1.0, 0.0, 0.0]))
    best = _least_line(lambda line: surface.bounds(np.array([line, -1.0, 0.0]))[1] >= 0.0) if most_equity >= 0.0 else math.inf
    worst = _least_line(lambda line: surface.bounds(np.array([line, -1.0, 0.0]))[0] >= 0.0) if least_equity >= 0.0 else math.inf
    return _rounded(best, ROUND_FLOOR), _rounded(worst, ROUND_CEILING)


def _surface(account: _Account, dials: Sequence[Dial]) -> Surface | None:
    return _grid(account, dials) if len(dials) <= MOST_JOINT else _star(account, dials)


def _grid(account: _Account, dials: Sequence[Dial]) -> Grid | None:
    points = [account.figures(dict(zip([dial.subject for dial in dials], nodes, strict=True))) for nodes in product(*_nodes(dials))]
    known = [point for point in points if point is not None]
    if len(known) < len(points):
        return None
    return Grid(tuple(map(_positions, dials)), np.array(known).reshape(*(len(dial.nodes) for dial in dials), 3))


def _star(account: _Account, dials: Sequence[Dial]) -> Star | None:
    rest, rays = account.figures({}), []
    coarse = [replace(dial, nodes=tuple(sorted({dial.nodes[0], dial.level, dial.nodes[-1]}))) for dial in dials]
    for dial in coarse:
        points = [account.figures({dial.subject: node}) for node in dial.nodes]
        known = [point for point in points if point is not None]
        if len(known) < len(points):
            return None
        rays.append((_positions(dial), np.array(known)))
    corners = []
    for pick in (np.argmin, np.argmax):
        nodes = tuple(int(pick(figures @ np.array([1.0, 0.0, -1.0]))) for _, figures in rays)
        corner = account.figures({dial.subject: dial.nodes[node] for dial, node in zip(coarse, nodes, strict=True)})
        if corner is None:
            return None
        corners.append((corner, nodes))
    return None if rest is None else Star(rest, tuple(rays), tuple(corners))


def _nodes(dials: Sequence[Dial]) -> list[tuple[Decimal, ...]]:
    return [dial.nodes for dial in dials]


def _positions(dial: Dial) -> NDArray[np.float64]:
    return np.array([float(node) for node in dial.nodes])


def _bend(values: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [...] how far each inner node along the last axis is off the line between its neighbours; 0 without inner nodes."""
    if len(positions) < 3:
        return np.zeros(1)
    share = (positions[1:-1] - positions[:-2]) / (positions[2:] - positions[:-2])
    chord = values[..., :-2] + share * (values[..., 2:] - values[..., :-2])
    return np.abs(values[..., 1:-1] - chord)


def _least_line(holds: Callable[[float], bool]) -> float:
    """Return the least line that holds, to a relative error of the search; infinity when none was found."""
    if holds(0.0):
        return 0.0
    found = next((place for place, line in enumerate(_SEARCH.tolist()) if holds(line)), None)
    if found is None:
        return math.inf
    low, high = (0.0 if found == 0 else float(_SEARCH[found - 1])), float(_SEARCH[found])
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _rounded(line: float, rounding: str) -> Decimal | None:
    return None if math.isinf(line) else Decimal(line).quantize(UTILIZATION_UNIT, rounding=rounding, context=EXACT)


def _figures(result: MarginResult) -> Figures:
    requirement = result.requirement
    return np.array([float(result.equity.equity), float(requirement.maintenance_margin), float(requirement.initial_margin)])


def _middle(one: Decimal, other: Decimal) -> Decimal:
    return EXACT.quantize(EXACT.divide(EXACT.add(one, other), Decimal(2)), LEDGER_UNIT)


def _with_assets(instruments: Sequence[Instrument], known: Mapping[InstrumentId, Instrument]) -> list[Instrument]:
    """Return instruments and the assets that their value is paid in, in the order of their ids."""
    found: dict[InstrumentId, Instrument] = {}
    waiting = list(instruments)
    while waiting:
        instrument = waiting.pop()
        if instrument.instrument_id not in found:
            found[instrument.instrument_id] = instrument
            waiting += [known[name] for name in {instrument.settlement, *instrument.references()}]
    return [found[name] for name in sorted(found)]
