"""What the engine is given, as plain data for the slow model: a revalued market, a parameter set and an account."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.instrument import (
    AmericanOption,
    BondTerms,
    CashFlows,
    EuropeanOption,
    FxForward,
    FxOption,
    InterestRateSwap,
    NonDeliverableForward,
)
from crossmargin.engine.revaluation.valuation import BasisKind
from tests.reference.slow_charges import SlowChargeRates, SlowGroupRates
from tests.reference.slow_margin import SlowHaircut, SlowHolding, SlowHouse, SlowInstrument, SlowModel

SCOPES = {
    AmericanOption: "AMERICAN_OPTION",
    CashFlows: "CASH_FLOWS",
    EuropeanOption: "EUROPEAN_OPTION",
    FxForward: "FX_FORWARD",
    FxOption: "FX_OPTION",
    InterestRateSwap: "INTEREST_RATE_SWAP",
    NonDeliverableForward: "NON_DELIVERABLE_FORWARD",
}


def slow_model(market, parameters, mode):
    legs = [(market.instruments[i].instrument_id, market.groups[g]) for i, g in zip(market.leg_instrument, market.leg_group, strict=True)]
    isolated = mode is AccountMode.ISOLATED
    return SlowModel(
        instruments={
            instrument.instrument_id: SlowInstrument(
                kind="asset" if instrument.is_asset else "bond" if isinstance(instrument.terms, BondTerms) else "contract",
                value=Fraction(market.unit_value[row]),
                settlement=instrument.settlement,
                pnl={
                    group: [Fraction(x) for x in market.leg_pnl[leg]]
                    for leg, (name, group) in enumerate(legs)
                    if name == instrument.instrument_id
                },
                collateral_class=instrument.collateral_class,
                residual_years=Fraction(market.residual_years[row]),
                translation_days=Fraction(market.translation_days[row]),
                terms=SCOPES.get(type(instrument.terms), ""),
                exposure={
                    group: Fraction(market.leg_exposure[leg]) for leg, (name, group) in enumerate(legs) if name == instrument.instrument_id
                },
                own_group=None if market.instrument_group[row] < 0 else market.groups[market.instrument_group[row]],
                notional=Fraction(market.notional_unit[row]),
                basis=BasisKind(market.basis_kind[row]).name.lower(),
                is_option=bool(market.is_option[row]),
                pegged_to=getattr(instrument.terms, "pegged_to", None),
                **_slow_peg(market, parameters, row),
                issuer_pnl=tuple(
                    sum((Fraction(pnl[leg]) for leg, (name, _) in enumerate(legs) if name == instrument.instrument_id), Fraction(0))
                    for pnl in market.issuer_leg_pnl
                ),
            )
            for row, instrument in enumerate(market.instruments)
        },
        class_of_group={group: market.classes[row] for group, row in zip(market.groups, market.group_class, strict=True)},
        weights=[Fraction(weight) for weight in market.scenarios.weights],
        alpha=Fraction(parameters.tail_fraction),
        rho1=Fraction(1 if isolated else parameters.offset_within_class),
        rho2=Fraction(1 if isolated else parameters.offset_across_classes),
        schedule={name: _slow_haircut(row) for name, row in parameters.haircut_schedule.items()},
        fx_mismatch_fraction=Fraction(parameters.fx_mismatch_haircut_fraction),
        fx_mismatch_days=parameters.fx_mismatch_days,
        charges=_slow_charge_rates(parameters),
        initial_multiple=Fraction(parameters.initial_margin_multiple),
        supply={curve.split(":")[1]: Fraction(units) for curve, units in parameters.circulating_supply.items()},
        issuer_limits=[
            ({curve.split(":")[1] for curve in issuer.curves}, Fraction(issuer.collateral_limit))
            for issuer in parameters.charges.issuers
            if issuer.collateral_limit is not None
        ],
    )


def _slow_peg(market, parameters, row):
    """What a stablecoin counts at, and whether its clock has run out, from the snapshot and the parameters alone."""
    instrument = market.instruments[row]
    if getattr(instrument.terms, "pegged_to", None) is None:
        return {}
    snapshot = market.snapshot
    if snapshot is None or instrument.instrument_id not in snapshot.pegs:
        # A market made by hand says both itself.
        peg_price = Fraction(market.peg_price[row]) if market.peg_price[row] > 0 else None
        return {"peg_price": peg_price, "used": Fraction(market.used_fraction[row]), "has_run_out": bool(market.has_run_out[row])}
    peg, price = snapshot.pegs[instrument.instrument_id], Fraction(market.unit_value[row])
    level = {str(factor): Fraction(known) for factor, known in snapshot.levels.items()}
    currency = Fraction(1) if instrument.terms.pegged_to == "USD" else level[f"fx:{instrument.terms.pegged_to}"]
    counts = min(price, Fraction(peg.slow_price) * currency)
    until, longest = peg.back_since or snapshot.as_of, parameters.charges.depeg.longest_hours
    seconds = 0 if peg.below_since is None else Fraction((until - peg.below_since) // timedelta(microseconds=1), 10**6)
    has_run_out = longest is not None and seconds > Fraction(longest) * 3600
    return {"used": counts / price, "peg_price": counts / currency, "has_run_out": has_run_out}


def _slow_charge_rates(parameters):
    charges, floor = parameters.charges, parameters.charges.schedule_floor
    days = {group.group_id: group.mpor_days for group in parameters.offset_groups}
    return SlowChargeRates(
        k=Fraction(charges.liquidity.spread_multiple),
        h0=Fraction(charges.liquidity.base_days),
        p=Fraction(charges.liquidity.participation_fraction),
        perpetual=Fraction(charges.basis.perpetual_fraction),
        dated=Fraction(charges.basis.dated_fraction),
        tiers=[(_optional(tier.up_to), Fraction(tier.charge_fraction)) for tier in charges.basis.stablecoin_tiers],
        short_option=Fraction(charges.short_option_fraction),
        mild_price=Fraction(charges.depeg.mild_price),
        slope=Fraction(charges.depeg.haircut_slope),
        ineligible_price=Fraction(charges.depeg.ineligible_price),
        floor=Fraction(floor.floor_fraction),
        gross_share=Fraction(floor.gross_fraction),
        scope={scope.value for scope in floor.in_scope},
        schedule=[
            (name, _optional(rate.up_to_years), Fraction(rate.rate_fraction)) for name, rates in floor.rates.items() for rate in rates
        ],
        groups={
            row.group_id: SlowGroupRates(
                Fraction(days[row.group_id]),
                Fraction(row.spread_fraction),
                Fraction(row.average_daily_volume),
                Fraction(row.minimum_rate_fraction),
            )
            for row in charges.groups
        },
        issuers=[{factor.name for factor in issuer.moves} for issuer in charges.issuers],
        own_issues={factor.name for issuer in charges.issuers if issuer.is_own_issue for factor in issuer.moves},
    )


def _slow_haircut(row):
    return SlowHaircut(
        residual=Fraction(row.residual_haircut_fraction),
        bands=[
            (_optional(band.up_to_years), [(_optional(tier.up_to), Fraction(tier.haircut_fraction)) for tier in band.tiers])
            for band in row.bands
        ],
        share_limit=_optional(row.share_limit_fraction),
        absolute_limit=_optional(row.absolute_limit),
        has_fx_mismatch=row.has_fx_mismatch,
        volume_limit=_optional(row.volume_limit_fraction),
        supply_limit=_optional(row.supply_limit_fraction),
        house_limit=_optional(row.house_limit),
        house_supply=_optional(row.house_supply_fraction),
    )


def _optional(limit):
    return None if limit is None else Fraction(limit)


def slow_holding(portfolio, name, split=None):
    """The holding as its policy says, or as it is in the split of an engine's figures, at its place among the holdings."""
    (holding,) = (held for held in portfolio.holdings if held.instrument_id == name)
    policy = portfolio.policies.get(name, CollateralPolicy.RISKED)
    risked = {CollateralPolicy.PLEDGED: Fraction(0), CollateralPolicy.RISKED: Fraction(1), CollateralPolicy.AUTO: None}
    share = risked[policy]
    if split is not None:
        places = [held.instrument_id for held in portfolio.holdings]
        share = Fraction(float(split.risked_fraction[places.index(name)]))
    return SlowHolding(Fraction(holding.quantity), Fraction(holding.cost), share, leaves_out=policy is CollateralPolicy.RISKED)


def slow_house(portfolio):
    client, house = portfolio.account.client_id, portfolio.house
    cross, isolated = house.owned.get(client, {}), house.owned_isolated.get(client, {})
    owned, before = (isolated, cross) if portfolio.mode is AccountMode.ISOLATED else (cross, {})
    return SlowHouse(*({str(name): Fraction(units) for name, units in held.items()} for held in (owned, before, house.held)))
