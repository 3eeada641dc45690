"""Money and coins: what other instruments are settled in."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.terms.checks import require


@dataclass(frozen=True, slots=True)
class Cash:
    """Money in a currency, named by its ISO 4217 code. One unit is one unit of the currency."""

    currency: str

    def __post_init__(self) -> None:
        require(
            len(self.currency) == 3 and self.currency.isascii() and self.currency.isalpha() and self.currency.isupper(),
            f"currency was {self.currency[:20]!r}; expected an ISO 4217 code such as USD",
        )


@dataclass(frozen=True, slots=True)
class Stablecoin:
    """A token that is meant to be worth one unit of a currency. It has a price like anything else."""

    pegged_to: str
    issuer: str


@dataclass(frozen=True, slots=True)
class CryptoAsset:
    """A coin or token held outright. Its risk factor is the spot price under its own instrument id."""
