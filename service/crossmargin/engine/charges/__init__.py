"""What is added to the market requirement, the minimums below which it may not fall, and what only new risk has to cover."""

from crossmargin.engine.charges.account_charges import AccountCharges, ChargeLine, OutsideGroups, account_charges, charge_contributions
from crossmargin.engine.charges.charged_groups import ChargedGroups, charged_groups
from crossmargin.engine.charges.depeg import DEPEG, depeg_charge
from crossmargin.engine.charges.eligibility import has_lost_peg, ineligible_holdings
from crossmargin.engine.charges.exposures import Exposures, exposures_of

__all__ = [
    "DEPEG",
    "AccountCharges",
    "ChargeLine",
    "ChargedGroups",
    "Exposures",
    "OutsideGroups",
    "account_charges",
    "charge_contributions",
    "charged_groups",
    "depeg_charge",
    "exposures_of",
    "has_lost_peg",
    "ineligible_holdings",
]
