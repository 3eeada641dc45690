"""Parameters of the methodologies are complete, in range and fit the offset groups, or they are refused."""

import json
from dataclasses import replace

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.risk_parameters_document import risk_parameters_from_json
from tests.builders import methodologies_document, risk_parameters, risk_parameters_document

GROUPS = risk_parameters_document()["offset_groups"]


def with_methodologies(**changes):
    return risk_parameters(methodologies=methodologies_document(GROUPS, **changes))


AT_THE_EDGE = [
    {"span": {"price_fraction": "0.000001"}},
    {"span": {"price_fraction": "0.499999"}},
    {"span": {"volatility_fraction": "0"}},
    {"span": {"volatility_fraction": "0.999999"}},
    {"span": {"rate_move": "0.999999"}},
    {"span": {"extreme_multiple": "1.000001"}},
    {"span": {"cover_fraction": "0"}},
    {"span": {"cover_fraction": "1"}},
    {"tims": {"lowest_fraction": "-0.999999"}},
    {"tims": {"highest_fraction": "5"}},
    {"tims": {"rate_move": "0.000001"}},
    {"tims": {"contract_minimum": "0"}},
    {"span": {"price_move": "0.000001"}},
    {"tims": {"price_move": "1000"}},
    {"ratio": {"initial_fraction": "0", "maintenance_fraction": "0"}},
    {"ratio": {"initial_fraction": "0.1", "maintenance_fraction": "0.1"}},
    {"groups": {"span": {"USD-RATES": {"rate_move": "0.01"}}}},
]
BEYOND_THE_EDGE = [
    ("price_fraction", {"span": {"price_fraction": "0"}}),
    ("extreme_multiple x price_fraction of CRYPTO", {"span": {"price_fraction": "0.5"}}),
    ("volatility_fraction", {"span": {"volatility_fraction": "-0.000001"}}),
    ("volatility_fraction", {"span": {"volatility_fraction": "1"}}),
    ("rate_move", {"span": {"rate_move": "0"}}),
    ("rate_move", {"span": {"rate_move": "1"}}),
    ("extreme_multiple", {"span": {"extreme_multiple": "1"}}),
    ("cover_fraction", {"span": {"cover_fraction": "1.000001"}}),
    ("lowest_fraction", {"tims": {"lowest_fraction": "-1"}}),
    ("lowest_fraction", {"tims": {"lowest_fraction": "0"}}),
    ("highest_fraction", {"tims": {"highest_fraction": "0"}}),
    ("rate_move", {"tims": {"rate_move": "0"}}),
    ("price_move", {"span": {"price_move": "0"}}),
    ("price_move", {"tims": {"price_move": "-1"}}),
    ("contract_minimum", {"tims": {"contract_minimum": "-0.01"}}),
    ("maintenance_fraction", {"ratio": {"maintenance_fraction": "-0.01"}}),
    ("initial_fraction", {"ratio": {"initial_fraction": "0.099999", "maintenance_fraction": "0.1"}}),
    ("bands of ratio rates", {"ratio": {"up_to_years": "2"}}),
    ("rows of scan_ranges", {"groups": {"span": {"DOGE": {"price_fraction": "0.1"}}}}),
    ("rows of valuation_ranges", {"groups": {"tims": {"DOGE": {"rate_move": "0.1"}}}}),
    ("price_fraction of scan_ranges for BTC", {"groups": {"span": {"BTC": {"volatility_fraction": "0.1"}}}}),
    ("volatility_fraction of scan_ranges for BTC", {"groups": {"span": {"BTC": {"price_fraction": "0.1"}}}}),
    ("rate_move of scan_ranges for USD-RATES", {"groups": {"span": {"USD-RATES": {"price_fraction": "0.1"}}}}),
    ("highest_fraction of valuation_ranges for BTC", {"groups": {"tims": {"BTC": {"lowest_fraction": "-0.1"}}}}),
    (
        "rate_move of valuation_ranges for USD-RATES",
        {"groups": {"tims": {"USD-RATES": {"lowest_fraction": "-0.1", "highest_fraction": "0.1"}}}},
    ),
]


@pytest.mark.parametrize("changes", AT_THE_EDGE, ids=str)
def test_a_parameter_at_the_edge_of_its_range_is_accepted(changes):
    assert with_methodologies(**changes).methodologies is not None


@pytest.mark.parametrize(("field", "changes"), BEYOND_THE_EDGE, ids=str)
def test_a_parameter_beyond_its_range_is_refused_by_name(field, changes):
    with pytest.raises(DomainError) as caught:
        with_methodologies(**changes)
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
    assert caught.value.facts["field"] == field


def test_a_class_without_a_row_is_refused():
    document = methodologies_document(GROUPS)
    document["ratio"]["rates"]["classes"].pop("FX")
    with pytest.raises(DomainError, match="row of ratio rates for EURUSD was missing"):
        risk_parameters(methodologies=document)


@pytest.mark.parametrize("path", [("span_grid",), ("tims_grid",), ("ratio",), ("span_grid", "scan_ranges"), ("ratio", "rates")])
def test_a_misspelt_key_is_refused(path):
    document = methodologies_document(GROUPS)
    part = document
    for key in path:
        part = part[key]
    part["surprise"] = "1"
    with pytest.raises(DomainError, match="unknown keys surprise"):
        risk_parameters(methodologies=document)


def test_a_set_from_before_there_were_methodologies_is_read_without_them():
    document = {name: value for name, value in risk_parameters_document().items() if name != "methodologies"}
    assert risk_parameters().methodologies is not None
    assert risk_parameters_from_json(json.dumps(document)).methodologies is None


def test_parameters_of_a_group_go_before_those_of_its_class():
    rows = with_methodologies(groups={"span": {"USD-RATES": {"rate_move": "0.02"}}}).methodologies.span_grid.scan_ranges
    assert str(rows.row_of("USD-RATES", "FIXED_INCOME").rate_move) == "0.02"
    assert str(rows.row_of("UST", "FIXED_INCOME").rate_move) == "0.01"
    assert replace(rows, classes={}).row_of("UST", "FIXED_INCOME") is None


def test_methodologies_are_called_what_the_ledger_calls_them():
    assert [methodology.value for methodology in Methodology] == [
        "expected_shortfall",
        "span_grid",
        "tims_grid",
        "standard_schedule",
        "ratio",
    ]
