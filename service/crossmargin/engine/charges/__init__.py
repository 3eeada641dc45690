"""What is added to the market requirement, the minimums below which it may not fall, and what only new risk has to cover."""

from crossmargin.engine.charges.account_charges import AccountCharges, ChargeLine, account_charges, liquidity_stretch
from crossmargin.engine.charges.depeg import DEPEG, depeg_charge
from crossmargin.engine.charges.eligibility import has_lost_peg, ineligible_holdings
from crossmargin.engine.charges.exposures import Exposures, exposures_of

__all__ = [
    "DEPEG",
    "AccountCharges",
    "ChargeLine",
    "Exposures",
    "account_charges",
    "depeg_charge",
    "exposures_of",
    "has_lost_peg",
    "ineligible_holdings",
    "liquidity_stretch",
]
