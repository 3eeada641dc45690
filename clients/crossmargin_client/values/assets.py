"""Assets held outright: money, stablecoins and coins."""

from __future__ import annotations

from crossmargin.api.v1 import reference_service_pb2


def cash(currency: str, *, places: int = 2, collateral_class: str = "", description: str = "") -> reference_service_pb2.Instrument:
    """Return money in a currency; its instrument id is the currency's code. `places` are the digits after the point of a quantity."""
    return reference_service_pb2.Instrument(
        instrument_id=currency,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        cash=reference_service_pb2.CashTerms(currency=currency),
    )


def stablecoin(
    instrument_id: str, *, pegged_to: str, issuer: str, places: int = 6, collateral_class: str = "", description: str = ""
) -> reference_service_pb2.Instrument:
    """Return a token meant to be worth one unit of a currency; its price is the risk factor spot:INSTRUMENT."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        stablecoin=reference_service_pb2.StablecoinTerms(pegged_to=pegged_to, issuer=issuer),
    )


def crypto_asset(
    instrument_id: str, *, places: int = 8, collateral_class: str = "", description: str = ""
) -> reference_service_pb2.Instrument:
    """Return a coin or token held outright; its price is the risk factor spot:INSTRUMENT."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        crypto_asset=reference_service_pb2.CryptoAssetTerms(),
    )
