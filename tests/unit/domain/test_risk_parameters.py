"""A parameter set is complete, in range and exactly what its document says, or it is refused."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorId
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.risk_parameters_document import risk_parameters_from_json
from tests.builders import a_haircut_row, charges_document, risk_parameters, risk_parameters_document

D = Decimal


def refusal(build):
    with pytest.raises(DomainError) as caught:
        build()
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
    return caught.value


def bands(*lines: str) -> dict[str, str]:
    return dict(zip(("watch", "at_risk", "margin_call", "liquidation"), lines, strict=True))


def a_group(**overrides) -> dict[str, object]:
    group = {"group_id": "BTC", "asset_class": "CRYPTO", "mpor_days": 2, "mpor_clock": "calendar", "curves": ["spot:BTC"]}
    return group | overrides


def an_event(**overrides) -> dict[str, object]:
    return {
        "name": "Fall",
        "source": "house",
        "both_directions": True,
        "moves": {"spot:BTC": "-0.4"},
        "default_class_moves": {},
    } | overrides


def a_window(**overrides) -> dict[str, object]:
    return {"name": "March", "source": "house", "first_day": "2020-03-01", "last_day": "2020-03-31", "event": None} | overrides


def an_issuer(issuer_id="X", **overrides) -> dict[str, object]:
    return {"issuer_id": issuer_id, "is_own_issue": False, "moves": {"spot:BTC": "-0.5"}} | overrides


def charges_of(*issuers) -> dict[str, object]:
    return charges_document(risk_parameters_document()["offset_groups"], issuers=list(issuers))


AT_THE_EDGE = [
    {"circulating_supply": [{"curve": "spot:BTC", "units": "0.000001"}]},
    {"charges": charges_of(an_issuer(collateral_limit="0"), an_issuer("Y"))},
    {"tail_fraction": "0.000001"},
    {"tail_fraction": "0.999999"},
    {"ordinary_weight": "0.000001"},
    {"ordinary_weight": "1"},
    {"ordinary_weight": "1", "stress_events": []},
    {"minimum_observation_count": 1},
    {"minimum_observation_count": 1250},
    {"volatility_decay": "0.000001"},
    {"volatility_decay": "0.999999"},
    {"scaling_floor": "0.000001"},
    {"scaling_floor": "1"},
    {"scaling_cap": "1"},
    {"offset_within_class": "1", "offset_across_classes": "1"},
    {"offset_within_class": "0", "offset_across_classes": "0"},
    {"offset_within_class": "0.5", "offset_across_classes": "0.5"},
    {"initial_margin_multiple": "1"},
    {"maximum_carry_days": 0},
    {"stress_vol_response": "0"},
    {"fx_mismatch_haircut_fraction": "0"},
    {"fx_mismatch_haircut_fraction": "0.999999"},
    {"fx_mismatch_days": 1},
    {"bands": bands("0.000001", "0.7", "0.8", "1")},
    {"offset_groups": [a_group(mpor_days=1)]},
    {"offset_groups": [a_group(mpor_days=30)]},
    {"stress_events": [an_event(moves={"spot:BTC": "-0.999999"}, default_class_moves={"CRYPTO": "-0.999999"})]},
    {"stress_events": [an_event(moves={"zero:USD:2Y": "-1"})]},
    {"crisis_windows": [a_window(last_day="2020-03-01")]},
    {"crisis_windows": [a_window(event="Fall")], "stress_events": [an_event()]},
    {"isolation_benefit_fraction": "0"},
    {"isolation_benefit_fraction": "1"},
]
BEYOND_THE_EDGE = [
    ("tail_fraction", {"tail_fraction": "0"}),
    ("tail_fraction", {"tail_fraction": "1"}),
    ("ordinary_weight", {"ordinary_weight": "0"}),
    ("ordinary_weight", {"ordinary_weight": "1.000001"}),
    ("stress_events", {"stress_events": []}),
    ("minimum_observation_count", {"minimum_observation_count": 0}),
    ("minimum_observation_count", {"minimum_observation_count": 1251}),
    ("volatility_decay", {"volatility_decay": "0"}),
    ("volatility_decay", {"volatility_decay": "1"}),
    ("scaling_floor", {"scaling_floor": "0"}),
    ("scaling_floor", {"scaling_floor": "1.000001"}),
    ("scaling_floor", {"scaling_cap": "0.999999"}),
    ("offset_within_class", {"offset_within_class": "1.000001"}),
    ("offset_within_class", {"offset_within_class": "0.499999"}),
    ("offset_within_class", {"offset_across_classes": "-0.000001"}),
    ("initial_margin_multiple", {"initial_margin_multiple": "0.999999"}),
    ("maximum_carry_days", {"maximum_carry_days": -1}),
    ("stress_vol_response", {"stress_vol_response": "-0.000001"}),
    ("fx_mismatch_haircut_fraction", {"fx_mismatch_haircut_fraction": "-0.000001"}),
    ("fx_mismatch_haircut_fraction", {"fx_mismatch_haircut_fraction": "1"}),
    ("fx_mismatch_days", {"fx_mismatch_days": 0}),
    ("bands", {"bands": bands("0", "0.7", "0.8", "1")}),
    ("bands", {"bands": bands("0.6", "0.6", "0.8", "1")}),
    ("bands", {"bands": bands("0.6", "0.7", "0.8", "0.75")}),
    ("mpor_days of BTC", {"offset_groups": [a_group(mpor_days=0)]}),
    ("mpor_days of BTC", {"offset_groups": [a_group(mpor_days=31)]}),
    ("move of spot:BTC in stress event Fall", {"stress_events": [an_event(moves={"spot:BTC": "-1"})]}),
    ("move of vol:BTC:1M in stress event Fall", {"stress_events": [an_event(moves={"vol:BTC:1M": "-1"})]}),
    ("last_day of crisis window March", {"crisis_windows": [a_window(last_day="2020-02-29")]}),
    ("event of crisis window March", {"crisis_windows": [a_window(event="Rise")]}),
    ("crisis_windows", {"crisis_windows": [a_window()], "stress_events": [], "ordinary_weight": "1"}),
    ("isolation_benefit_fraction", {"isolation_benefit_fraction": "-0.000001"}),
    ("isolation_benefit_fraction", {"isolation_benefit_fraction": "1.000001"}),
    ("curve of circulating supply spot:XRP", {"circulating_supply": [{"curve": "spot:XRP", "units": "1"}]}),
    ("circulating supply of spot:BTC", {"circulating_supply": [{"curve": "spot:BTC", "units": "0"}]}),
    ("keys of a circulating supply", {"circulating_supply": [{"curve": "spot:BTC"}]}),
    ("collateral_limit of issuer X", {"charges": charges_of(an_issuer(collateral_limit="-0.01"))}),
    ("issuers with a collateral_limit", {"charges": charges_of(an_issuer(collateral_limit="1"), an_issuer("Y", collateral_limit="1"))}),
    ("move of CRYPTO in stress event Fall", {"stress_events": [an_event(default_class_moves={"CRYPTO": "-1"})]}),
]


@pytest.mark.parametrize("overrides", AT_THE_EDGE, ids=str)
def test_a_parameter_at_the_edge_of_its_range_is_accepted(overrides):
    assert risk_parameters(**overrides).set_id == "test-1"


@pytest.mark.parametrize(("field", "overrides"), BEYOND_THE_EDGE, ids=str)
def test_a_parameter_beyond_its_range_is_refused_by_name(field, overrides):
    error = refusal(lambda: risk_parameters(**overrides))
    assert error.facts["field"] == field
    assert error.message.startswith(f"{field} was ")


def test_a_curve_belongs_to_one_offset_group_only():
    groups = [a_group(), a_group(group_id="ETH", curves=["spot:ETH", "spot:BTC"])]
    error = refusal(lambda: risk_parameters(offset_groups=groups))
    assert error.facts["field"] == "curve spot:BTC"
    assert error.facts["value"] == "in BTC and ETH"
    refusal(lambda: risk_parameters(offset_groups=[a_group(curves=["spot:BTC", "spot:BTC"])]))


@pytest.mark.parametrize(
    ("field", "overrides"),
    [
        ("offset group BTC", {"offset_groups": [a_group(), a_group(curves=["vol:BTC"])]}),
        ("proxy of curve spot:XRP", {"proxies": [{"curve": "spot:XRP", "proxy_curve": "spot:BTC", "beta": beta} for beta in ("1", "2")]}),
        ("stress event Fall", {"stress_events": [an_event(), an_event(moves={})]}),
        ("crisis window March", {"crisis_windows": [a_window(), a_window(last_day="2020-03-02")]}),
        ("haircut schedule row BTC", {"haircut_schedule": [a_haircut_row("BTC", flat="0.2"), a_haircut_row("BTC")]}),
        ("circulating supply of curve spot:BTC", {"circulating_supply": [{"curve": "spot:BTC", "units": units} for units in "12"]}),
    ],
)
def test_what_is_said_twice_is_refused_rather_than_said_last(field, overrides):
    assert refusal(lambda: risk_parameters(**overrides)).facts["field"] == field


def test_a_set_stored_before_there_were_limits_by_supply_has_none():
    """What a database holds already must still be read, and say what it said."""
    assert "circulating_supply" not in risk_parameters_document()
    assert risk_parameters().circulating_supply == {}
    assert risk_parameters().haircut_schedule["BTC"].supply_limit_fraction is None


@pytest.mark.parametrize("key", sorted(set(risk_parameters_document()) - {"methodologies"}))
def test_a_missing_key_is_named(key):
    document = risk_parameters_document()
    del document[key]
    error = refusal(lambda: risk_parameters_from_json(json.dumps(document)))
    assert error.facts["key"] == key


@pytest.mark.parametrize(
    "overrides",
    [
        {"tail_fractoin": "0.01"},
        {"document": "{}"},
        {"offset_groups": [a_group(mpor_hours=2)]},
        {"proxies": [{"curve": "spot:XRP", "proxy_curve": "spot:BTC", "beta": "1", "scale": "1"}]},
        {"stress_events": [an_event(default_class_move={})]},
        {"haircut_schedule": [a_haircut_row("BTC") | {"share_limit": "0.4"}]},
        {"haircut_schedule": [a_haircut_row("BTC", bands=[{"up_to_years": None, "tiers": [], "years": 1}])]},
        {
            "haircut_schedule": [
                a_haircut_row("BTC", bands=[{"up_to_years": None, "tiers": [{"up_to": None, "haircut_fraction": 0, "x": 1}]}])
            ]
        },
        {"bands": bands("0.6", "0.7", "0.8", "1") | {"immediate": "1.25"}},
    ],
    ids=str,
)
def test_an_unknown_key_is_refused_at_every_depth(overrides):
    """A limit that is spelled wrong would otherwise be no limit."""
    refusal(lambda: risk_parameters(**overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        *(
            {key: value}
            for key in ("tail_fraction", "stress_vol_response", "initial_margin_multiple")
            for value in ("NaN", "Infinity", "x")
        ),
        *({key: value} for key in ("scaling_cap", "fx_mismatch_haircut_fraction") for value in ("NaN", "Infinity", None, [], {})),
        *({"observation_count": value} for value in ("1250.5", 1250.5, "many", None)),
        {"stress_events": [an_event(moves={"zero:USD:2Y": "NaN"})]},
        {"stress_events": [an_event(both_directions="false")]},
        {"haircut_schedule": [a_haircut_row("BTC") | {"has_fx_mismatch": "no"}]},
        {"haircut_schedule": [a_haircut_row("BTC", share_limit="NaN")]},
        {"offset_groups": [a_group(mpor_clock="lunar")]},
        {"offset_groups": {"BTC": {}}},
        {"proxies": ["spot:XRP"]},
        {"proxies": [{"curve": "spot:XRP", "proxy_curve": "spot:BTC", "beta": "NaN"}]},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_form_is_refused(overrides):
    refusal(lambda: risk_parameters(**overrides))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '"text"', "[" * 100_000, '{"tail_fraction": ' + "9" * 5000 + "}"])
def test_what_is_no_document_is_refused(text):
    refusal(lambda: risk_parameters_from_json(text))


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(literal):
    text = json.dumps(risk_parameters_document()).replace('"tail_fraction": "0.025"', f'"tail_fraction": {literal}')
    assert literal in text
    refusal(lambda: risk_parameters_from_json(text))


def test_a_name_outside_its_grammar_keeps_its_own_reason():
    with pytest.raises(DomainError) as caught:
        risk_parameters(set_id="Standard 1")
    assert caught.value.reason is Reason.INVALID_IDENTIFIER


def test_the_hash_does_not_depend_on_the_order_of_keys_or_on_the_layout():
    document = risk_parameters_document()
    backwards = json.dumps(dict(reversed(document.items())), indent=3)
    assert risk_parameters_from_json(backwards).content_hash == risk_parameters_from_json(json.dumps(document)).content_hash


@pytest.mark.parametrize("overrides", AT_THE_EDGE, ids=str)
def test_every_changed_parameter_changes_the_hash(overrides):
    assert risk_parameters(**overrides).content_hash != risk_parameters().content_hash


def test_a_json_number_is_the_decimal_it_spells_and_not_the_nearest_float():
    text = json.dumps(risk_parameters_document()).replace('"tail_fraction": "0.025"', '"tail_fraction": 0.1')
    parameters = risk_parameters_from_json(text)
    assert parameters.tail_fraction == D("0.1")
    assert parameters.tail_fraction != D(0.1)
    assert '"tail_fraction":"0.1"' in parameters.document


def test_a_document_reads_back_from_its_canonical_form():
    parameters = risk_parameters()
    again = risk_parameters_from_json(parameters.document)
    assert (again.document, again.content_hash) == (parameters.document, parameters.content_hash)


def test_everything_the_document_says_is_in_the_set():
    parameters = risk_parameters(
        set_id="test-2",
        offset_groups=[a_group(mpor_days=5, mpor_clock="business")],
        proxies=[{"curve": "spot:XRP", "proxy_curve": "spot:BTC", "beta": "1.4", "idiosyncratic_fraction": "0.6"}],
        stress_events=[an_event(default_class_moves={"CRYPTO": "-0.3"})],
        haircut_schedule=[a_haircut_row("BTC", residual="0.02", flat="0.2", share_limit="0.4", absolute_limit="100", has_fx_mismatch=True)],
    )
    (group,), (proxy,), (event,) = parameters.offset_groups, parameters.proxies, parameters.stress_events
    assert (group.group_id, group.mpor_days, group.mpor_clock, group.curves) == ("BTC", 5, HorizonClock.BUSINESS, ("spot:BTC",))
    assert parameters.proxy_of_curve == {"spot:XRP": proxy}
    assert (proxy.proxy_curve, proxy.beta, proxy.idiosyncratic_fraction) == ("spot:BTC", D("1.4"), D("0.6"))
    assert (event.both_directions, event.moves) == (True, {FactorId.parse("spot:BTC"): D("-0.4")})
    assert event.default_class_moves == {"CRYPTO": D("-0.3")}
    row = parameters.haircut_schedule["BTC"]
    assert (row.residual_haircut_fraction, row.share_limit_fraction, row.absolute_limit) == (D("0.02"), D("0.4"), D(100))
    assert (row.has_fx_mismatch, row.bands[0].tiers[0].haircut_fraction) == (True, D("0.2"))


def test_optional_limits_are_none_when_the_document_is_silent():
    row = a_haircut_row("BTC")
    for key in ("share_limit_fraction", "absolute_limit", "has_fx_mismatch"):
        del row[key]
    terms = risk_parameters(haircut_schedule=[row]).haircut_schedule["BTC"]
    assert (terms.share_limit_fraction, terms.absolute_limit, terms.has_fx_mismatch) == (None, None, False)


def test_a_factor_finds_the_group_of_its_curve_and_a_stranger_none():
    parameters = risk_parameters()
    assert parameters.group_of(FactorId.parse("zero:USD:7Y")).group_id == "USD-RATES"
    with pytest.raises(DomainError) as caught:
        parameters.group_of(FactorId.parse("spot:XRP"))
    assert caught.value.reason is Reason.UNMAPPED_RISK_FACTOR
    assert caught.value.facts == {"factor": "spot:XRP", "parameter_set": "test-1"}
