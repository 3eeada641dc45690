"""Payments of money or of coins on a later day: money is discounted at its zero rates, a coin is worth its forward price."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.instrument import CryptoAsset, Instrument
from crossmargin.domain.market import FactorKind
from crossmargin.engine.revaluation.discounting import Payments, discount_factors, discounted
from crossmargin.engine.revaluation.forward_price import basis_curve
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import BasisKind, Claim

_BASE_CURVE: Final = f"{FactorKind.ZERO.value}:{BASE_CURRENCY}"


def paid_later(asset: InstrumentId, payments: Payments, market: ShockedMarket) -> tuple[Claim, ...]:
    """Return the claims on payments of an asset.

    A coin has no deposit rate that anybody quotes. What it will be worth is its forward price, spot grown at the carry of its futures, and
    that is discounted in dollars: a coin paid at T counts exp((b(T) - z(T)) T) coins of today. So a forward moves as the future of its
    day does. Where the snapshot has a zero curve of the coin that is used instead, as for money; without carry either, the forward price
    is the spot price.
    """
    if not _is_carried(market.assets[asset], market):
        return (discounted(asset, payments, market),)
    carried = _growth(asset, payments.years, market) * payments.amounts[:, np.newaxis]
    dollars = market.curve(_BASE_CURVE)
    dollars.check(payments.years)
    factors = discount_factors(dollars, payments.years)
    amount, calm = (carried * factors).sum(axis=0), (carried * factors[:, market.base_of]).sum(axis=0)
    carry = basis_curve(asset)
    group = market.curve_group(carry) if market.has_curve(carry) else None
    # What moves with carry adds no exposure of its own: the coins are exposure to their price already.
    return (
        Claim(asset, calm, group, exposure=np.zeros(len(market.bases))),
        Claim(asset, amount - calm, market.curve_group(_BASE_CURVE), exposure=amount[market.bases]),
    )


def payment_curves(asset: Instrument) -> frozenset[str]:
    """Return the curves that payments of an asset are valued from, as far as the snapshot has them."""
    own = {discount_curve(asset)}
    return frozenset(own | {basis_curve(asset.instrument_id), _BASE_CURVE} if isinstance(asset.terms, CryptoAsset) else own)


def basis_kind(market: ShockedMarket, *assets: InstrumentId) -> BasisKind:
    """Return whether factors move the price of one of the assets for later against its price today."""
    is_dated = any(_is_carried(market.assets[asset], market) and not market.has_curve(basis_curve(asset)) for asset in assets)
    return BasisKind.DATED if is_dated else BasisKind.FACTORED


def _is_carried(asset: Instrument, market: ShockedMarket) -> bool:
    return isinstance(asset.terms, CryptoAsset) and not market.has_curve(discount_curve(asset))


def _growth(asset: InstrumentId, years: NDArray[np.float64], market: ShockedMarket) -> NDArray[np.float64]:
    """Return [D, M] the forward price over the spot price."""
    name = basis_curve(asset)
    if not market.has_curve(name):
        return np.ones((len(years), len(market.base_of)))
    curve = market.curve(name)
    curve.check(years)
    growth: NDArray[np.float64] = 1.0 / discount_factors(curve, years)
    return growth
