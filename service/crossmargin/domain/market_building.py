"""The next snapshot of the market: what sources have said last, judged against the snapshot before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeAlias

from crossmargin.domain.depeg_parameters import DepegParameters
from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    DatedFuture,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    Instrument,
    InterestRateSwap,
    NonDeliverableForward,
    OptionTerms,
    PresentValueTerms,
    Stablecoin,
)
from crossmargin.domain.market import FactorId, FactorKind, MarketSnapshot
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.market_quality import Judged, Sighting, Verdict, judge
from crossmargin.domain.market_quality_parameters import QuoteKind
from crossmargin.domain.peg import Peg, PegSighting, next_peg, peg_price
from crossmargin.domain.quote import Quote, Subject
from crossmargin.domain.risk_parameters import RiskParameters

_DEFAULT_CLOCK: Final = HorizonClock.CALENDAR
Coins: TypeAlias = Mapping[InstrumentId, Stablecoin]
"""Terms of the stablecoins that a snapshot has a price of."""


@dataclass(frozen=True, eq=False)
class Listing:
    """An instrument that may have a mark, and the clock of the market it is traded on."""

    instrument: Instrument
    clock: HorizonClock


def next_snapshot(
    previous: MarketSnapshot | None,
    quotes: Iterable[Quote],
    listings: Mapping[InstrumentId, Listing],
    parameters: RiskParameters,
    now: datetime,
) -> MarketSnapshot | None:
    """Return the market at `now`, or None when nothing is known of it. The same inputs give the same snapshot.

    Everything in the snapshot before is in this one, with the quality it has by now; but not the mark of an instrument that has ended,
    nor a quote of an instrument that is not listed.
    """
    bench = _Bench(parameters, now)
    sightings: defaultdict[Subject, list[Sighting]] = defaultdict(list)
    for quote in quotes:
        sightings[quote.subject].append(Sighting(quote.value, quote.observed_at))
    earlier = _earlier(previous)
    levels: dict[FactorId, Judged] = {}
    marks: dict[InstrumentId, Judged] = {}
    for subject in sorted({*sightings, *earlier}, key=str):
        judged = bench.judged(subject, sightings[subject], earlier.get(subject), listings)
        if judged is None:
            continue
        if isinstance(subject, FactorId):
            levels[subject] = judged
        else:
            marks[subject] = judged
    if not levels and not marks:
        return None
    return MarketSnapshot(
        as_of=now,
        levels={factor: judged.level for factor, judged in levels.items()},
        marks={name: judged.level for name, judged in marks.items()},
        level_quality={factor: judged.quality for factor, judged in levels.items()},
        mark_quality={name: judged.quality for name, judged in marks.items()},
    )


def says_more_than(snapshot: MarketSnapshot, previous: MarketSnapshot | None, parameters: RiskParameters) -> bool:
    """Return whether a snapshot says anything that the one before did not, beside the time; that a clock has run out is something."""
    return previous is None or _said(snapshot, parameters) != _said(previous, parameters)


def _said(snapshot: MarketSnapshot, parameters: RiskParameters) -> tuple[object, ...]:
    rules = parameters.charges.depeg
    run_out = {name for name, peg in snapshot.pegs.items() if peg.has_run_out(snapshot.as_of, rules)}
    return snapshot.levels, snapshot.marks, snapshot.level_quality, snapshot.mark_quality, snapshot.pegs, run_out


def followed_pegs(
    snapshot: MarketSnapshot, before: MarketSnapshot | None, coins: Coins, rules: DepegParameters
) -> Mapping[InstrumentId, Peg]:
    """Return what is remembered of stablecoins at a snapshot. The same inputs give the same pegs.

    `before` is the snapshot of the latest time before its own. A coin that it has a price of and no peg, because it is from before pegs
    were kept, counted at that price.
    """
    remembered = {} if before is None else dict(before.pegs)
    found: dict[InstrumentId, Peg] = {}
    for name in sorted({*coins, *remembered}):
        known = remembered.get(name)
        sighting = _sighting(name, coins[name], snapshot) if name in coins else None
        if known is None and before is not None and name in coins:
            earlier = _sighting(name, coins[name], before)
            known = None if earlier is None else Peg(earlier.price)
        peg = next_peg(known, sighting, previous=None if before is None else before.as_of, now=snapshot.as_of, rules=rules)
        if peg is not None:
            found[name] = peg
    return found


def _sighting(name: InstrumentId, coin: Stablecoin, snapshot: MarketSnapshot) -> PegSighting | None:
    """Return what a snapshot says of a stablecoin; None when it lacks its price or that of what it is pegged to."""
    factor, currency = FactorId(FactorKind.SPOT.value, name), FactorId(FactorKind.FX.value, coin.pegged_to)
    if coin.pegged_to == BASE_CURRENCY:
        rate, quality = Decimal(1), []
    elif currency in snapshot.levels:
        rate, quality = snapshot.levels[currency], [snapshot.quality_of_level(currency)]
    else:
        return None
    if name in snapshot.marks:
        price = snapshot.marks[name]
        quality.append(snapshot.quality_of_mark(name))
    elif factor in snapshot.levels:
        price = snapshot.levels[factor]
        quality.append(snapshot.quality_of_level(factor))
    else:
        return None
    if price <= 0:
        return None  # no price that a coin can have; whoever holds it is refused when it is valued
    return PegSighting(peg_price(price, rate), all(each.verdict is Verdict.VALID for each in quality))


def kind_of_mark(instrument: Instrument) -> QuoteKind:
    """Return which limits the mark of an instrument is held to."""
    if isinstance(instrument.terms, PresentValueTerms):
        return QuoteKind.PRESENT_VALUE
    if isinstance(instrument.terms, DatedFuture) and instrument.terms.price_may_be_negative:
        return QuoteKind.PRICE
    return QuoteKind.PREMIUM if isinstance(instrument.terms, OptionTerms) else QuoteKind.MARK


def has_ended(instrument: Instrument, today: date) -> bool:
    """Return whether the last day of an instrument is over."""
    match instrument.terms:
        case DatedFuture(expiry=expiry) | EuropeanOption(expiry=expiry) | AmericanOption(expiry=expiry) | FxOption(expiry=expiry):
            return expiry.date() < today
        case BondFuture(delivery_date=last) | FxForward(delivery_date=last) | NonDeliverableForward(settlement_date=last):
            return last < today
        case Bill() | FixedRateBond() | FloatingRateNote() | InterestRateSwap() as terms:
            return terms.maturity_date < today
    return False


def clock_of_curves(curves: Iterable[str], parameters: RiskParameters) -> HorizonClock:
    """Return the clock of what is priced from these curves: it has a price at weekends if any of them has."""
    clocks = {_clock_of(curve, parameters) for curve in curves}
    return HorizonClock.BUSINESS if clocks == {HorizonClock.BUSINESS} else _DEFAULT_CLOCK


def _clock_of(curve: str, parameters: RiskParameters) -> HorizonClock:
    group = parameters.group_of_curve.get(curve)
    return _DEFAULT_CLOCK if group is None else group.mpor_clock


@dataclass(frozen=True, slots=True)
class _Bench:
    parameters: RiskParameters
    now: datetime

    def judged(
        self, subject: Subject, sightings: Sequence[Sighting], before: Judged | None, listings: Mapping[InstrumentId, Listing]
    ) -> Judged | None:
        quality = self.parameters.market_quality
        if isinstance(subject, FactorId):
            rule = quality.rule_of[QuoteKind(subject.kind.value), _clock_of(subject.curve, self.parameters)]
            return judge(sightings, before, rule, quality, self.now)
        listing = listings.get(subject)
        if listing is None or has_ended(listing.instrument, self.now.date()):
            return None
        return judge(sightings, before, quality.rule_of[kind_of_mark(listing.instrument), listing.clock], quality, self.now)


def _earlier(previous: MarketSnapshot | None) -> Mapping[Subject, Judged]:
    if previous is None:
        return {}
    levels: dict[Subject, Judged] = {name: Judged(level, previous.quality_of_level(name)) for name, level in previous.levels.items()}
    return levels | {name: Judged(mark, previous.quality_of_mark(name)) for name, mark in previous.marks.items()}
