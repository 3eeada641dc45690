"""Every parameter of the haircut schedule moves equity at both ends of its range; one that moves nothing has no place in the set."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from crossmargin.domain.collateral import CollateralPolicy, CollateralTerms
from crossmargin.domain.errors import DomainError
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import (
    Revalued,
    a_haircut_row,
    a_portfolio,
    a_revalued_market,
    bill,
    cash,
    charges_document,
    coin,
    perpetual,
    risk_parameters,
)
from tests.builders import risk_parameters_document as document
from tests.parameter_leaves import leaves

PLEDGED, RISKED = CollateralPolicy.PLEDGED, CollateralPolicy.RISKED
FLAT = [0.0, 0.0]
GROUPS = document()["offset_groups"]


class Ends(NamedTuple):
    """A holding whose value in equity differs between the lowest, a middle and the highest value of one parameter."""

    held: str
    policy: CollateralPolicy
    changes: list[dict[str, Any]]


def _rows(held, policy, *rows):
    return Ends(held, policy, [{"haircut_schedule": [a_haircut_row("USD"), row]} for row in rows])


def _btc(policy, name, *values, **others):
    return _rows("BTC", policy, *(a_haircut_row("BTC", **others | {name: value}) for value in values))


def _tiers(*tiers):
    bands = [[{"up_to_years": None, "tiers": [{"up_to": end, "haircut_fraction": fraction}]}] for end, fraction in tiers]
    return _rows("BTC", PLEDGED, *(a_haircut_row("BTC", bands=band) for band in bands))


def _bands(*ends):
    def band(end, fraction):
        return {"up_to_years": end, "tiers": [{"up_to": None, "haircut_fraction": fraction}]}

    return _rows("BILL", PLEDGED, *(a_haircut_row("GOVERNMENT", bands=[band(end, "0.1"), band(None, "0.5")]) for end in ends))


def _euro(*changes):
    rows = [a_haircut_row("USD"), a_haircut_row("G10-CASH", has_fx_mismatch=True)]
    return Ends("EUR", PLEDGED, [{"haircut_schedule": rows} | change for change in changes])


def _supply(*units):
    row = a_haircut_row("BTC", supply_limit_fraction="0.1")
    supplies = [[{"curve": "spot:BTC", "units": one}] for one in units]
    return Ends("BTC", RISKED, [{"haircut_schedule": [a_haircut_row("USD"), row], "circulating_supply": supply} for supply in supplies])


TERMS = {
    "residual_haircut_fraction": _btc(RISKED, "residual", "0", "0.02", "0.999999"),
    "bands.up_to_years": _bands("0.5", "2"),
    "bands.tiers.up_to": _tiers(("1", "0"), ("500", "0"), ("999", "0")),
    "bands.tiers.haircut_fraction": _tiers((None, "0"), (None, "0.2"), (None, "1")),
    "share_limit_fraction": _btc(RISKED, "share_limit", "0.000001", "0.4", None),
    "absolute_limit": _btc(RISKED, "absolute_limit", "0", "500", None),
    "volume_limit_fraction": _btc(RISKED, "volume_limit_fraction", "0", "0.1", None),
    "supply_limit_fraction": Ends(
        "BTC",
        RISKED,
        [
            {
                "haircut_schedule": [a_haircut_row("USD"), a_haircut_row("BTC", supply_limit_fraction=fraction)],
                "circulating_supply": [{"curve": "spot:BTC", "units": "100"}],
            }
            for fraction in ("0", "0.05", None)
        ],
    ),
    "house_limit": _btc(RISKED, "house_limit", "0", "500", None),
    "house_supply_fraction": Ends(
        "BTC",
        RISKED,
        [
            {
                "haircut_schedule": [a_haircut_row("USD"), a_haircut_row("BTC", house_supply_fraction=fraction)],
                "circulating_supply": [{"curve": "spot:BTC", "units": "100"}],
            }
            for fraction in ("0", "0.05", "1")
        ],
    ),
    "has_fx_mismatch": _rows("EUR", PLEDGED, *(a_haircut_row("G10-CASH", has_fx_mismatch=flag) for flag in (False, True))),
}
BESIDE_THE_SCHEDULE = {
    "circulating_supply": _supply("0.000001", "50", "100"),
    "fx_mismatch_haircut_fraction": _euro(*({"fx_mismatch_haircut_fraction": value} for value in ("0", "0.08", "0.999999"))),
    "fx_mismatch_days": _euro(*({"fx_mismatch_days": value} for value in (1, 10, 1000))),
}
IDENTITIES = {"collateral_class"}
"""Names, which mean nothing by themselves."""
ENDS = TERMS | BESIDE_THE_SCHEDULE


def test_every_parameter_of_the_schedule_has_its_case():
    assert leaves(CollateralTerms) == set(TERMS) | IDENTITIES


@pytest.mark.parametrize("name", sorted(ENDS))
def test_a_parameter_moves_equity_at_both_ends(name):
    case = ENDS[name]
    portfolio = a_portfolio({case.held: 10, "USD": 1000}, policies={case.held: case.policy})
    equities = [compute_margin(portfolio, _market(), _parameters(**change)).equity.equity for change in case.changes]
    assert len(set(equities)) == len(equities), equities


def test_the_default_policy_decides_for_who_says_nothing():
    """Ten BTC of 100 that lose 30 in the tail, against six perpetuals sold: the hedge is worth risking, the rest is not."""
    fall = [-30.0, *[10.0] * 9]
    market = a_revalued_market(
        Revalued(coin(), 100.0, {"BTC": fall}), Revalued(perpetual("PERP"), 100.0, {"BTC": fall}), weights=[0.025, *[0.975 / 9] * 9]
    )
    rows = [a_haircut_row("USD"), a_haircut_row("BTC", residual="0.02", flat="0.2")]
    portfolio = a_portfolio({"BTC": 10, "PERP": (-6, -600)})

    def risked(policy):
        result = compute_margin(portfolio, market, _parameters(haircut_schedule=rows, default_policy=policy))
        return next(line.risked for line in result.equity.lines if line.instrument_id == "BTC")

    assert [risked(policy.value) for policy in (PLEDGED, CollateralPolicy.AUTO, RISKED)] == [0, 600, 1000]
    with pytest.raises(DomainError, match="risk parameters have a value of the wrong form"):
        _parameters(default_policy="best")


def _parameters(**changes):
    charges = charges_document(GROUPS, rows={"BTC": {"average_daily_volume": "5000"}})
    return risk_parameters(charges=charges, **changes)


def _market():
    """BTC, euros and a bill of one and a half years, all at 100 dollars."""
    return a_revalued_market(
        Revalued(coin(), 100.0, {"BTC": FLAT}),
        Revalued(cash("EUR", collateral_class="G10-CASH"), 100.0, {"EURUSD": FLAT}, translation_days=2.0),
        Revalued(bill("BILL"), 100.0, {"UST": FLAT}, residual_years=1.5),
    )
