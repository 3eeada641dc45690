"""Parameters of the charges are complete and in range, or the set is refused by the name of what is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from tests.builders import charges_document, risk_parameters, risk_parameters_document

GROUPS = risk_parameters_document()["offset_groups"]
ISSUER = {"issuer_id": "SATOSHI", "is_own_issue": False, "moves": {"spot:BTC": "-0.5"}}
RATES = {name: [{"up_to_years": None, "rate_fraction": "1"}] for name in ("CRYPTO", "FX", "FIXED_INCOME")}


def a_set(*, rows=None, **changes):
    return risk_parameters(charges=charges_document(GROUPS, rows=rows, **changes))


def tiers(*pairs):
    return {"basis": {"stablecoin_tiers": [{"up_to": up_to, "charge_fraction": fraction} for up_to, fraction in pairs]}}


def rates(*pairs):
    return {"schedule_floor": {"rates": {"CRYPTO": [{"up_to_years": up_to, "rate_fraction": rate} for up_to, rate in pairs]}}}


AT_THE_EDGE = [
    {"liquidity": {"spread_multiple": "0"}},
    {"liquidity": {"base_days": "0"}},
    {"liquidity": {"participation_fraction": "0.000001"}},
    {"liquidity": {"participation_fraction": "1"}},
    {"basis": {"perpetual_fraction": "1", "dated_fraction": "1"}},
    tiers((None, "1")),
    tiers(("0.01", "0"), (None, "0")),
    {"short_option_fraction": "1"},
    {"depeg": {"mild_price": "1", "ineligible_price": "1"}},
    {"depeg": {"mild_price": "0", "ineligible_price": "0"}},
    {"depeg": {"haircut_slope": "1000"}},
    {"depeg": {"slow_rise_per_day": "0.000001"}},
    {"depeg": {"longest_hours": "0"}},
    {"depeg": {"longest_hours": None, "slow_rise_per_day": None, "recovery_hours": "100000"}},
    {"schedule_floor": {"floor_fraction": "1", "gross_fraction": "1", "rates": RATES}},
    {"schedule_floor": {"gross_fraction": "0"}},
    {"rows": {"BTC": {"spread_fraction": "1", "minimum_rate_fraction": "1", "average_daily_volume": "0.000001"}}},
    {"issuers": [ISSUER | {"moves": {"spot:BTC": "-0.999999"}}]},
    {"issuers": [ISSUER | {"moves": {"zero:USD:2Y": "-1"}}]},
]
BEYOND_THE_EDGE = [
    ("spread_multiple", {"liquidity": {"spread_multiple": "-0.000001"}}),
    ("base_days", {"liquidity": {"base_days": "-0.000001"}}),
    ("participation_fraction", {"liquidity": {"participation_fraction": "0"}}),
    ("participation_fraction", {"liquidity": {"participation_fraction": "1.000001"}}),
    ("perpetual_fraction", {"basis": {"perpetual_fraction": "-0.000001"}}),
    ("dated_fraction", {"basis": {"perpetual_fraction": "0.01", "dated_fraction": "0.009999"}}),
    ("dated_fraction", {"basis": {"dated_fraction": "1.000001"}}),
    ("stablecoin_tiers", tiers()),
    ("stablecoin_tiers", tiers(("100", "0.02"))),
    ("stablecoin_tiers", tiers((None, "0.02"), (None, "0.03"))),
    ("stablecoin_tiers", tiers(("0", "0.02"), (None, "0.03"))),
    ("stablecoin_tiers", tiers(("200", "0.02"), ("100", "0.02"), (None, "0.03"))),
    ("stablecoin_tiers", tiers(("100", "0.03"), (None, "0.02"))),
    ("stablecoin_tiers", tiers((None, "1.000001"))),
    ("stablecoin_tiers", tiers((None, "-0.000001"))),
    ("short_option_fraction", {"short_option_fraction": "-0.000001"}),
    ("short_option_fraction", {"short_option_fraction": "1.000001"}),
    ("mild_price", {"depeg": {"mild_price": "1.000001"}}),
    ("ineligible_price", {"depeg": {"ineligible_price": "0.990001"}}),
    ("ineligible_price", {"depeg": {"ineligible_price": "-0.000001"}}),
    ("haircut_slope", {"depeg": {"haircut_slope": "-0.000001"}}),
    ("slow_rise_per_day", {"depeg": {"slow_rise_per_day": "0"}}),
    ("longest_hours", {"depeg": {"longest_hours": "-0.000001"}}),
    ("recovery_hours", {"depeg": {"recovery_hours": "-0.000001"}}),
    ("floor_fraction", {"schedule_floor": {"floor_fraction": "1.000001"}}),
    ("gross_fraction", {"schedule_floor": {"gross_fraction": "-0.000001"}}),
    ("schedule rates", {"schedule_floor": {"floor_fraction": "0.000001"}}),
    ("schedule rates of CRYPTO", rates()),
    ("schedule rates of CRYPTO", rates(("1", "0.1"))),
    ("schedule rates of CRYPTO", rates(("2", "0.1"), ("1", "0.1"), (None, "0.1"))),
    ("schedule rate of CRYPTO", rates((None, "1.000001"))),
    ("spread_fraction of BTC", {"rows": {"BTC": {"spread_fraction": "1.000001"}}}),
    ("average_daily_volume of BTC", {"rows": {"BTC": {"average_daily_volume": "0"}}}),
    ("minimum_rate_fraction of BTC", {"rows": {"BTC": {"minimum_rate_fraction": "-0.000001"}}}),
    ("groups of charges", {"groups": []}),
    ("issuer SATOSHI", {"issuers": [ISSUER, ISSUER]}),
    ("moves of issuer SATOSHI", {"issuers": [ISSUER | {"moves": {}}]}),
    ("moves of issuer SATOSHI", {"issuers": [ISSUER | {"moves": {"spot:NOWHERE": "-0.5"}}]}),
    ("move of spot:BTC for issuer SATOSHI", {"issuers": [ISSUER | {"moves": {"spot:BTC": "-1"}}]}),
    ("move of zero:USD:2Y for issuer SATOSHI", {"issuers": [ISSUER | {"moves": {"zero:USD:2Y": "-1.000001"}}]}),
]


@pytest.mark.parametrize("changes", AT_THE_EDGE, ids=str)
def test_a_charge_parameter_at_the_edge_of_its_range_is_accepted_and_changes_the_hash(changes):
    assert a_set(**changes).content_hash != risk_parameters().content_hash


@pytest.mark.parametrize(("field", "changes"), BEYOND_THE_EDGE, ids=str)
def test_a_charge_parameter_beyond_its_range_is_refused_by_name(field, changes):
    error = _refusal(lambda: a_set(**changes))
    assert error.facts["field"] == field
    assert error.message.startswith(f"{field} was ")


@pytest.mark.parametrize("part", ["liquidity", "basis", "depeg", "schedule_floor"])
def test_an_unknown_key_of_a_charge_is_refused(part):
    assert "unknown keys typo" in _refusal(lambda: a_set(**{part: {"typo": "1"}})).message


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": {"BTC": {"typo": "1"}}},
        {"issuers": [ISSUER | {"typo": "1"}]},
        {"basis": {"stablecoin_tiers": [{"up_to": None, "charge_fraction": "0", "typo": "1"}]}},
        {"schedule_floor": {"rates": {"CRYPTO": [{"up_to_years": None, "rate_fraction": "0", "typo": "1"}]}}},
    ],
    ids=str,
)
def test_an_unknown_key_in_a_list_of_charges_is_refused(changes):
    assert "unknown keys typo" in _refusal(lambda: a_set(**changes)).message


@pytest.mark.parametrize("key", sorted(charges_document()))
def test_a_missing_part_of_the_charges_is_named(key):
    document = charges_document(GROUPS)
    del document[key]
    assert _refusal(lambda: risk_parameters(charges=document)).facts["key"] == key


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule_floor": {"in_scope": ["SWAPTION"]}},
        {"issuers": [ISSUER | {"is_own_issue": "no"}]},
        {"short_option_fraction": "NaN"},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_form_is_refused(changes):
    _refusal(lambda: a_set(**changes))


def test_two_rows_of_charges_for_one_group_are_refused():
    document = charges_document(GROUPS)
    document["groups"] += document["groups"][:1]
    assert _refusal(lambda: risk_parameters(charges=document)).facts["field"] == "charges of offset group BTC"


def test_everything_the_document_says_of_charges_is_in_the_set():
    charges = a_set(
        rows={"BTC": {"spread_fraction": "0.001", "average_daily_volume": "5", "minimum_rate_fraction": "0.1"}}, issuers=[ISSUER]
    ).charges
    (btc,) = [row for row in charges.groups if row.group_id == "BTC"]
    assert (btc.spread_fraction, btc.average_daily_volume, btc.minimum_rate_fraction) == (Decimal("0.001"), 5, Decimal("0.1"))
    assert [(issuer.issuer_id, {str(f): m for f, m in issuer.moves.items()}) for issuer in charges.issuers] == [
        ("SATOSHI", {"spot:BTC": Decimal("-0.5")})
    ]


def _refusal(build):
    with pytest.raises(DomainError) as caught:
        build()
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
    return caught.value
