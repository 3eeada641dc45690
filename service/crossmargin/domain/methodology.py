"""How the requirement of an account is computed: one main method, and four that exchanges and regulators use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef


@unique
class Methodology(Enum):
    """What an account is margined by. Equity is the same under all of them."""

    EXPECTED_SHORTFALL = "expected_shortfall"
    """Tail means over joint scenarios, with charges: the main one, and what an account has unless something else is set."""
    SPAN_GRID = "span_grid"
    """The largest loss over sixteen moves of price and volatility, offset group by offset group."""
    TIMS_GRID = "tims_grid"
    """The largest loss over ten moves of the price, offset group by offset group, and a minimum for each derivative contract."""
    STANDARD_SCHEDULE = "standard_schedule"
    """Fixed rates on notional by asset class and maturity, relieved by the net-to-gross ratio."""
    RATIO = "ratio"
    """Fixed initial and maintenance rates on notional, without any offset: for isolated accounts and for comparison."""


@dataclass(frozen=True, slots=True)
class AccountMethodology:
    """The methodology that one account is to be margined by."""

    account: AccountRef
    methodology: Methodology


def methodology_unavailable(methodology: Methodology, parameter_set: object, missing: str) -> DomainError:
    """Return the error for a methodology about which a parameter set does not say enough; `missing` names what it lacks."""
    return DomainError(
        Reason.METHODOLOGY_UNAVAILABLE,
        f"risk parameters {parameter_set} lack {missing}, which {methodology.value} needs; put a set in force that has it, "
        "or choose another methodology",
        methodology=methodology.value,
        parameter_set=parameter_set,
        missing=missing,
    )
