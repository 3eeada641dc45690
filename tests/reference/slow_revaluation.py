"""A revaluation written a second time: every instrument by itself, its terms read anew, and laid out leg by leg.

Slow, and the reference to the bit for the engine's own, which values instruments together. What is shared is below both: curves and prices
of assets in every state, and kinds that the engine values one at a time too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtr

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    PER_HUNDRED,
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
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
    Stablecoin,
    check_trade_price,
)
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.risk_parameters import OffsetGroup, RiskParameters
from crossmargin.engine.kernels.choice import Kernels, functions_of
from crossmargin.engine.revaluation import (
    american_option,
    asset,
    bond_future,
    cash_flows,
    dated_future,
    floating_rate_note,
    fx_forward,
    fx_option,
    interest_rate_swap,
    non_deliverable_forward,
)
from crossmargin.engine.revaluation.discounting import Payments, spread_curve
from crossmargin.engine.revaluation.fixed_rate_bond import coupon_payments
from crossmargin.engine.revaluation.forward_price import forward_price
from crossmargin.engine.revaluation.option_chain import carry_basis, carry_curve, discount_factor, volatility_at, volatility_curve
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_curve import ShockedCurve
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve, not_finite, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, Claim, Valuation, expired, terms_of
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.scenarios.stress import issuer_moves

Outcome = Valuation | DomainError


def slow_market(
    instruments: Sequence[Instrument], snapshot: MarketSnapshot, scenarios: ScenarioSet, parameters: RiskParameters, kernels: Kernels
) -> RevaluedMarket:
    """Return what `revalue_market` returns."""
    shocked = _with_issuer_shocks(scenarios, parameters)
    (market,) = _laid_out(instruments, snapshot, shocked, parameters, kernels, scenarios, [(0, 0)])
    return replace(market, snapshot=snapshot)


def slow_moved_markets(  # noqa: PLR0917 - as the function it is the reference of
    instruments: Sequence[Instrument],
    snapshot: MarketSnapshot,
    moves: np.ndarray,
    scenarios: ScenarioSet,
    parameters: RiskParameters,
    kernels: Kernels,
) -> list[RevaluedMarket]:
    """Return what `revalue_moved_market` returns."""
    shocked = _with_issuer_shocks(scenarios, parameters)
    shocks = np.concatenate([np.concatenate([move[np.newaxis], move + shocked.shocks]) for move in moves])
    count = len(shocks)
    states = replace(shocked, shocks=shocks, weights=np.full(count, 1.0 / count), names=("",) * count, ordinary_count=count)
    places = [(place, 1 + place * (1 + len(shocked.names))) for place in range(len(moves))]
    return _laid_out(instruments, snapshot, states, parameters, kernels, scenarios, places)


def _with_issuer_shocks(scenarios: ScenarioSet, parameters: RiskParameters) -> ScenarioSet:
    issuers = parameters.charges.issuers
    return replace(
        scenarios,
        shocks=np.concatenate([scenarios.shocks, issuer_moves(scenarios.factors, parameters)]),
        weights=np.append(scenarios.weights, np.zeros(len(issuers))),
        names=scenarios.names + tuple(issuer.issuer_id for issuer in issuers),
    )


def _laid_out(  # noqa: PLR0917 - what the two functions above have in common
    instruments: Sequence[Instrument],
    snapshot: MarketSnapshot,
    shocked: ScenarioSet,
    parameters: RiskParameters,
    kernels: Kernels,
    scenarios: ScenarioSet,
    places: Sequence[tuple[int, int]],
) -> list[RevaluedMarket]:
    ordered = sorted(instruments, key=lambda instrument: instrument.instrument_id)
    assets = {instrument.instrument_id: instrument for instrument in ordered if instrument.is_asset}
    bases = [base for _, base in places]
    market = ShockedMarket(assets=assets, snapshot=snapshot, scenarios=shocked, parameters=parameters, bases=bases, kernels=kernels)
    with np.errstate(all="ignore"):
        outcomes = [_value(instrument, market) for instrument in ordered]
        rows = [_legs_or_errors(each, outcome, market, len(places)) for each, outcome in zip(ordered, outcomes, strict=True)]
    markets = []
    for place, base in places:
        unavailable = {
            instrument.instrument_id: _named(instrument, row[place], scenarios)
            for instrument, row in zip(ordered, rows, strict=True)
            if isinstance(row[place], DomainError)
        }
        found = [row[place] for row in rows if not isinstance(row[place], DomainError)]
        markets.append(_assemble(found, market, (place, base), snapshot, scenarios, unavailable))
    return markets


def _value(instrument: Instrument, market: ShockedMarket) -> Outcome:
    try:
        for asset_id in sorted({instrument.settlement, *instrument.references()}):
            if asset_id not in market.assets:
                raise _unknown_settlement(instrument, asset_id)
            market.price(asset_id)
        if not instrument.is_asset and instrument.instrument_id in market.marks:
            check_trade_price(instrument, market.marks[instrument.instrument_id])
        return _VALUERS[type(instrument.terms)](instrument, market)
    except DomainError as error:
        return error.with_traceback(None)


def _alone(revalue: Callable[[Sequence[Instrument], ShockedMarket], list[Outcome]]) -> Callable[[Instrument, ShockedMarket], Valuation]:
    def value(instrument: Instrument, market: ShockedMarket) -> Valuation:
        (outcome,) = revalue([instrument], market)
        if isinstance(outcome, DomainError):
            raise outcome
        return outcome

    return value


def _perpetual(instrument: Instrument, market: ShockedMarket) -> Valuation:
    terms = terms_of(instrument, Perpetual)
    spot = spot_factor(terms.underlying)
    group = market.group(spot)
    spot_level, mark = market.level(spot), market.mark(instrument)
    price = (spot_level if mark is None else mark) * np.exp(market.moves(spot))
    value = -float(terms.multiplier) / price if terms.payoff is Payoff.INVERSE else float(terms.multiplier) * price
    notional = np.abs(value[market.bases])
    return Valuation((Claim(terms.settlement, value, group, notional),), 0.0, notional, BasisKind.PERPETUAL)


def _bill(instrument: Instrument, market: ShockedMarket) -> Valuation:
    maturity = terms_of(instrument, Bill).maturity_date
    if maturity <= market.as_of.date():
        raise expired(instrument, ended=maturity, as_of=market.as_of)
    return _paid(instrument, Payments(np.array([market.years_until_day(maturity)]), np.array([100.0])), market)


def _bond(instrument: Instrument, market: ShockedMarket) -> Valuation:
    terms, today = terms_of(instrument, FixedRateBond), market.as_of.date()
    if terms.maturity_date <= today:
        raise expired(instrument, ended=terms.maturity_date, as_of=market.as_of)
    return _paid(instrument, coupon_payments(terms, market, after=today), market)


def _note(instrument: Instrument, market: ShockedMarket) -> Valuation:
    return _paid(instrument, floating_rate_note.remaining(instrument, market), market)


def _paid(instrument: Instrument, payments: Payments, market: ShockedMarket) -> Valuation:
    zero, spread = discount_curve(market.assets[instrument.settlement]), spread_curve(instrument)
    market.curve(zero).check(payments.years)
    rates_group = market.curve_group(zero)
    factors = _factors(market.curve(zero), payments.years)
    survival = None
    if spread is not None:
        market.curve(spread).check(payments.paid_years)
        credit_group = market.curve_group(spread)
        survival = _factors(market.curve(spread), payments.paid_years)
    base = factors[:, 0] if survival is None else factors[:, 0] * survival[:, 0]
    mark = market.mark(instrument)
    amounts = payments.amounts
    if mark is not None:
        amounts = amounts * np.exp(-_spread(amounts * base, payments.paid_years, mark) * payments.paid_years)
    unit, face = float(PER_HUNDRED), np.ones(len(market.bases))
    years = float(payments.years.max())
    if survival is None:
        return Valuation((Claim(instrument.settlement, unit * _sum(amounts, factors), rates_group),), years, notional=face)
    price, calm = _sum(amounts, factors * survival), _sum(amounts, factors * survival[:, market.base_of])
    claims = (
        Claim(instrument.settlement, unit * calm, rates_group),
        Claim(instrument.settlement, unit * (price - calm), credit_group, exposure=unit * price[market.bases]),
    )
    return Valuation(claims, years, notional=face)


def _factors(curve: ShockedCurve, years: np.ndarray) -> np.ndarray:
    lower, upper, share = curve.between(years)
    if curve.kernels is Kernels.NUMBA:
        function = functions_of(curve.kernels).discount_factors
        return function(years=years, levels=curve.levels_at(years), moves=curve.moves, lower=lower, upper=upper, share=share)
    return np.exp((curve.moves_at(years) + curve.levels_at(years)[:, np.newaxis]) * -years[:, np.newaxis])


def _sum(amounts: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Add up payment by payment, in their order, as both kernels do."""
    row = csr_array((amounts, np.arange(len(amounts)), [0, len(amounts)]), shape=(1, len(amounts)))
    return np.asarray(row @ factors)[0]


def _spread(values: np.ndarray, years: np.ndarray, mark: float) -> float:
    """Newton on the logarithm of the price; NaN where no spread reaches the mark."""
    spread = 0.0
    for _ in range(100):
        discounted = values * np.exp(-spread * years)
        price = np.add.reduceat(discounted, [0])[0]
        duration = np.add.reduceat(discounted * years, [0])[0] / price
        gap = np.log(price / mark)
        if np.abs(gap) <= 1e-14:
            return spread
        spread += gap / duration
    return np.nan


def _european(instrument: Instrument, market: ShockedMarket) -> Valuation:
    terms, mark = terms_of(instrument, EuropeanOption), market.mark(instrument)
    if terms.expiry <= market.as_of:
        raise expired(instrument, ended=terms.expiry, as_of=market.as_of)
    years, discount = market.years_until(terms.expiry), discount_curve(market.assets[terms.settlement])
    in_coins = terms.premium is PremiumStyle.COIN_SETTLED
    carry = carry_curve(terms.underlying, None if in_coins else discount, market)
    until = market.years_until(terms.future_expiry or terms.expiry)
    forward = forward_price(market, terms.underlying, years=until, carry_curve=carry)
    match terms.premium:
        case PremiumStyle.CASH_PAID:
            unit = discount_factor(discount, years, market)
        case PremiumStyle.COIN_SETTLED:
            unit = 1.0 / forward
        case PremiumStyle.MARGINED:
            unit = np.ones_like(forward)
    group = market.group(spot_factor(terms.underlying))
    surface = volatility_at(volatility_curve(terms.underlying), years, market)
    strike, sign = float(terms.strike), 1.0 if terms.right is OptionRight.CALL else -1.0
    own = surface.total if mark is None else _implied(mark / unit[0], forward[0], strike, sign)
    price = _option_price(forward, unit, surface.ratio, strike, sign, own, mark, market.kernels)
    bases, multiplier = market.bases, float(terms.multiplier)
    total = np.maximum(own * surface.ratio[bases], 1e-100)
    delta = sign * ndtr(sign * ((np.log(forward[bases]) - np.log(strike)) / total + 0.5 * total))
    exposure = delta - price[bases] if in_coins else delta * unit[bases] * forward[bases]
    notional = multiplier * (np.ones(len(bases)) if in_coins else forward[bases])
    claim = Claim(terms.settlement, multiplier * price, group, multiplier * exposure)
    return Valuation((claim,), years, notional=notional, basis=carry_basis(terms.underlying, market), is_option=True)


def _option_price(  # noqa: PLR0917 - one formula's symbols
    forward: np.ndarray, unit: np.ndarray, ratio: np.ndarray, strike: float, sign: float, own: float, mark: float | None, kernels: Kernels
) -> np.ndarray:
    if kernels is Kernels.NUMBA:
        terms = {"strike": strike, "sign": sign, "own": own, "mark": np.nan if mark is None else mark}
        function = functions_of(kernels).option_prices
        return function(forward=forward, unit=unit, ratio=ratio, **{name: np.array([value]) for name, value in terms.items()})[0]
    price = _black76(forward, strike, own * ratio, sign) * unit
    return np.maximum(price + (0.0 if mark is None else mark - price[0]), 0.0)


def _black76(forward: np.ndarray | float, strike: float, total: np.ndarray | float, sign: float) -> np.ndarray:
    total = np.maximum(total, 1e-100)
    d1 = (np.log(forward) - np.log(strike)) / total
    d1 = d1 + 0.5 * total
    return sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - total)))


def _implied(price: float, forward: float, strike: float, sign: float) -> float:
    low, high = 0.0, 64.0
    if not max(sign * (forward - strike), 0.0) < price < (forward if sign > 0.0 else strike):
        return 0.0
    for _ in range(64):
        middle = 0.5 * (low + high)
        if _black76(forward, strike, middle, sign) < price:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


_VALUERS: dict[type, Callable[[Instrument, ShockedMarket], Valuation]] = {
    Cash: _alone(asset.revalue),
    Stablecoin: _alone(asset.revalue),
    CryptoAsset: _alone(asset.revalue),
    Perpetual: _perpetual,
    DatedFuture: _alone(dated_future.revalue),
    BondFuture: _alone(bond_future.revalue),
    EuropeanOption: _european,
    AmericanOption: _alone(american_option.revalue),
    FxOption: _alone(fx_option.revalue),
    FxForward: _alone(fx_forward.revalue),
    NonDeliverableForward: _alone(non_deliverable_forward.revalue),
    Bill: _bill,
    FixedRateBond: _bond,
    FloatingRateNote: _note,
    InterestRateSwap: _alone(interest_rate_swap.revalue),
    CashFlows: _alone(cash_flows.revalue),
}


@dataclass(frozen=True, eq=False)
class _Revalued:
    """One instrument, ready for its rows; `legs` are sorted by offset group, and so are their `exposures`."""

    instrument: Instrument
    valuation: Valuation
    unit_value: float
    legs: tuple[tuple[OffsetGroup, np.ndarray], ...]
    exposures: tuple[float, ...]


def _unknown_settlement(instrument: Instrument, asset_id: InstrumentId) -> DomainError:
    return DomainError(
        Reason.UNKNOWN_INSTRUMENT,
        f"{instrument.instrument_id} settles in {asset_id}, which is no known money or coin; create it",
        instrument=instrument.instrument_id,
        settlement=asset_id,
    )


def _named(instrument: Instrument, error: DomainError, scenarios: ScenarioSet) -> DomainError:
    """Return the error with the instrument in it; the scenario set's own errors stay as they are, shared by all who need the factor."""
    if "instrument" in error.facts or any(error is known for known in scenarios.unavailable.values()):
        return error
    facts: dict[str, object] = {**error.facts, "instrument": instrument.instrument_id}
    return DomainError(error.reason, f"{instrument.instrument_id} cannot be valued: {error.message}", **facts)


def _legs_or_errors(
    instrument: Instrument, outcome: Outcome, market: ShockedMarket, market_count: int
) -> Sequence[_Revalued | DomainError]:
    """Return one instrument in each of the markets: the states of a market follow one another along axis M, its base state first."""
    if isinstance(outcome, DomainError):
        return [outcome] * market_count
    legs: dict[OffsetGroup, np.ndarray] = {}
    for group, pnl in _profits(outcome, market, market_count):
        legs[group] = legs[group] + pnl if group in legs else pnl
    ordered = sorted(legs, key=lambda group: group.group_id)
    unit_values = _unit_values(outcome, market)
    exposures = _exposures(outcome, market)
    is_finite = np.isfinite(unit_values)
    for pnl in legs.values():
        is_finite &= np.isfinite(pnl).all(axis=1)
    return [
        _Revalued(
            instrument,
            outcome,
            float(unit_values[place]),
            tuple((group, legs[group][place]) for group in ordered),
            tuple(float(exposures[group][place]) for group in ordered),
        )
        if is_finite[place]
        else not_finite(instrument)
        for place in range(market_count)
    ]


def _profits(valuation: Valuation, market: ShockedMarket, market_count: int) -> Iterator[tuple[OffsetGroup, np.ndarray]]:
    """Yield the parts of the profit [B, S] of each market, with the group that each belongs to."""
    first = int(market.bases[0])
    for claim in valuation.claims:
        amount, price = (values[first:].reshape(market_count, -1) for values in (claim.amount, market.price(claim.asset)))
        price_group = market.price_group(claim.asset)
        if claim.group is not None:
            yield claim.group, (amount[:, 1:] - amount[:, :1]) * price[:, 1:]
        if price_group is not None:
            yield price_group, amount[:, :1] * (price[:, 1:] - price[:, :1])


def _unit_values(valuation: Valuation, market: ShockedMarket) -> np.ndarray:
    """Return [B] the value of one unit."""
    values: np.ndarray = np.zeros(len(market.bases))
    for claim in valuation.claims:
        values = values + claim.amount[market.bases] * market.price(claim.asset)[market.bases]
    return values


def _exposures(valuation: Valuation, market: ShockedMarket) -> Mapping[OffsetGroup, np.ndarray]:
    """Return [B] what one unit is long or short of each group's underlying, split as its profits are."""
    exposures: defaultdict[OffsetGroup, np.ndarray] = defaultdict(lambda: np.zeros(len(market.bases)))
    for claim in valuation.claims:
        amount, price = claim.amount[market.bases], market.price(claim.asset)[market.bases]
        price_group = market.price_group(claim.asset)
        if claim.group is not None:
            exposures[claim.group] = exposures[claim.group] + (amount if claim.exposure is None else claim.exposure) * price
        if price_group is not None:
            exposures[price_group] = exposures[price_group] + amount * price
    return exposures


def _assemble(  # noqa: PLR0917 - called once
    revalued: Sequence[_Revalued],
    market: ShockedMarket,
    states: tuple[int, int],
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    unavailable: Mapping[InstrumentId, DomainError],
) -> RevaluedMarket:
    """Lay the instruments out along the axes."""
    place, base = states
    instruments = tuple(item.instrument for item in revalued)
    settlements = [instrument.settlement for instrument in instruments]
    row_of = {instrument.instrument_id: row for row, instrument in enumerate(instruments)}
    groups = sorted({group for item in revalued for group, _ in item.legs}, key=lambda group: group.group_id)
    axis_of = {group.group_id: position for position, group in enumerate(groups)}
    classes = tuple(sorted({group.asset_class for group in groups}))
    legs = [(row, axis_of[group.group_id], pnl) for row, item in enumerate(revalued) for group, pnl in item.legs]
    scenario_count = len(scenarios.names)
    pnl = np.array([pnl for _, _, pnl in legs], dtype=np.float64).reshape(len(legs), -1 if legs else scenario_count)
    instrument_groups = [_group_of(item, market) for item in revalued]
    settlement_price = np.array([market.price(settlement)[base] for settlement in settlements], dtype=np.float64)
    notional = [None if item.valuation.notional is None else float(item.valuation.notional[place]) for item in revalued]
    unit_value = np.array([item.unit_value for item in revalued], dtype=np.float64)
    return RevaluedMarket(
        snapshot_id=snapshot.snapshot_id,
        as_of=snapshot.as_of,
        scenarios=scenarios,
        instruments=instruments,
        unit_value=unit_value,
        settlement_price=settlement_price,
        settlement_row=np.array([row_of[settlement] for settlement in settlements], dtype=np.int64),
        leg_instrument=np.array([row for row, _, _ in legs], dtype=np.int64),
        leg_group=np.array([group for _, group, _ in legs], dtype=np.int64),
        leg_pnl=np.ascontiguousarray(pnl[:, :scenario_count]),
        groups=tuple(group.group_id for group in groups),
        classes=classes,
        group_class=np.array([classes.index(group.asset_class) for group in groups], dtype=np.int64),
        residual_years=np.array([item.valuation.residual_years for item in revalued], dtype=np.float64),
        translation_days=np.array([_translation_days(settlement, market) for settlement in settlements], dtype=np.float64),
        leg_exposure=np.array([exposure for item in revalued for exposure in item.exposures], dtype=np.float64),
        issuer_leg_pnl=np.ascontiguousarray(pnl[:, scenario_count:].T),
        instrument_group=np.array([axis_of.get(group.group_id, -1) if group else -1 for group in instrument_groups], dtype=np.int64),
        notional_unit=np.array(
            [
                abs(value) if units is None else units * price
                for value, units, price in zip(unit_value, notional, settlement_price, strict=True)
            ],
            dtype=np.float64,
        ),
        basis_kind=np.array([item.valuation.basis for item in revalued], dtype=np.int64),
        is_option=np.array([item.valuation.is_option for item in revalued], dtype=np.bool_),
        peg_price=np.array(
            [np.nan if item.valuation.peg_price is None else item.valuation.peg_price[place] for item in revalued],
            dtype=np.float64,
        ),
        used_fraction=np.array([item.valuation.used_fraction for item in revalued], dtype=np.float64),
        has_run_out=np.array([item.valuation.has_run_out for item in revalued], dtype=np.bool_),
        unavailable=unavailable,
        kernels=market.kernels,
    )


def _group_of(item: _Revalued, market: ShockedMarket) -> OffsetGroup | None:
    return item.valuation.group or item.valuation.claims[0].group or market.price_group(item.instrument.settlement)


def _translation_days(settlement: InstrumentId, market: ShockedMarket) -> float:
    group = market.price_group(settlement)
    return 0.0 if group is None else float(group.mpor_days)
