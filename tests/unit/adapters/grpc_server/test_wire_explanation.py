"""What a margin says beyond the number, on the wire and as people read it."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal

from rich.console import Console

from crossmargin.adapters.grpc_server.wire.explanation import full_explanation_to_message
from crossmargin.adapters.grpc_server.wire.margin import explanation_to_message
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.domain.explanation import (
    DirectionalConcentration,
    Diversification,
    IsolationAdvice,
    LiquidationDistance,
    MarginExplanation,
    MarketMove,
    RequirementInterval,
    ScenarioReport,
    TailReport,
    WorstDirection,
)
from crossmargin.domain.identifiers import InstrumentId, OffsetGroupId
from crossmargin.domain.market import FactorId, FactorKind
from crossmargin.domain.risk_parameters import FactorProxy
from crossmargin_cli.explanation_views import (
    advice_table,
    confidence_lines,
    direction_lines,
    distance_table,
    diversification_sentence,
    worst_direction_sentence,
)
from tests.unit.adapters.prometheus.results import a_result

D = Decimal
BTC, RATES = OffsetGroupId("BTC"), OffsetGroupId("USD-RATES")
FALL = MarketMove(BTC, FactorKind.SPOT, D("-0.312345"))
RISE = MarketMove(RATES, FactorKind.ZERO, D("0.012550"))

PROXIES = {FactorId.parse("spot:RLUSD"): FactorProxy("spot:RLUSD", "spot:USDC", D("1.25"), D("0.5"))}


def an_explanation() -> MarginExplanation:
    return MarginExplanation(
        margin=a_result(),
        distances=(
            LiquidationDistance(BTC, FactorKind.SPOT, FALL),
            LiquidationDistance(RATES, FactorKind.ZERO, RISE),
            LiquidationDistance(BTC, FactorKind.VOL, None),
        ),
        worst_direction=WorstDirection(D("1.75"), (FALL, RISE), D("-1234.56")),
        diversification=Diversification(D("0.25"), BTC, D("0.6"), D("2.5")),
        directions=(DirectionalConcentration("CRYPTO", FactorKind.SPOT, is_long=False, fraction=D("0.75"), amount=D("1200")),),
        isolation_advice=(IsolationAdvice(InstrumentId("BTC-PERP"), D(100), D("95.5"), D("0.045")),),
        interval=RequirementInterval(D(400), D(600), D("0.9"), 400, 3),
        tail=TailReport(31, D("26.5"), D("0.54"), D("0.8"), 30, D("-7.64")),
        scenarios=ScenarioReport(
            1250, 416, 76, {"Far": 0, "Near": 17}, {FactorId.parse("spot:RLUSD"): {"Near": "1.25 x spot:USDC"}}, PROXIES
        ),
    )


def test_an_explanation_has_the_margin_and_what_makes_it_up():
    message, plain = full_explanation_to_message(an_explanation()), explanation_to_message(a_result())
    assert (message.margin, message.holdings) == (plain.margin, plain.holdings)


def test_moves_are_returns_or_basis_points_and_none_is_absent():
    fall, rise, none = full_explanation_to_message(an_explanation()).liquidation_distances
    assert fall == pb.LiquidationDistance(
        group_id="BTC", factor_kind="spot", move=pb.MarketMove(group_id="BTC", factor_kind="spot", simple_return="-0.312345")
    )
    assert (rise.move.simple_return, rise.move.basis_points) == ("", "125.5")
    assert (none.factor_kind, none.HasField("move")) == ("vol", False)


def test_a_worst_direction_is_absent_without_risk_and_has_no_multiple_when_it_never_liquidates():
    explanation = an_explanation()
    message = full_explanation_to_message(explanation)
    assert (message.worst_direction.multiple, message.worst_direction.pnl, len(message.worst_direction.moves)) == ("1.75", "-1234.56", 2)
    never = replace(explanation, worst_direction=WorstDirection(None, (FALL,), D("-1")))
    assert full_explanation_to_message(never).worst_direction.multiple == ""
    assert not full_explanation_to_message(replace(explanation, worst_direction=None)).HasField("worst_direction")


def test_what_rests_on_a_tail_is_absent_by_another_methodology():
    message = full_explanation_to_message(replace(an_explanation(), interval=None, tail=None, scenarios=None))
    assert not any(message.HasField(name) for name in ("requirement_interval", "tail", "scenarios"))


def test_a_direction_is_printed_with_its_share_and_amount():
    (line,) = direction_lines(full_explanation_to_message(an_explanation()))
    assert line == "CRYPTO price: short, 75.0% one way; 1,200 on a typical move of all."


def test_every_other_figure_is_in_its_place():
    message = full_explanation_to_message(an_explanation())
    assert list(message.directional_concentrations) == [
        pb.DirectionalConcentration(asset_class="CRYPTO", factor_kind="spot", is_long=False, fraction="0.75", amount="1200")
    ]
    assert message.diversification == pb.Diversification(
        ratio="0.25", largest_group_id="BTC", largest_group_fraction="0.6", effective_bets="2.5"
    )
    assert list(message.isolation_advice) == [
        pb.IsolationAdvice(instrument_id="BTC-PERP", requirement_alone="100", requirement_added="95.5", benefit_fraction="0.045")
    ]
    assert message.requirement_interval == pb.RequirementInterval(
        low="400", high="600", confidence="0.9", replicate_count=400, block_days=3
    )
    assert message.tail == pb.TailReport(
        scenario_count=31,
        effective_scenarios="26.5",
        stress_weight_fraction="0.54",
        stress_share_of_worst="0.8",
        oldest_days=30,
        oldest_contribution="-7.64",
    )
    assert message.scenarios == pb.ScenarioReport(
        ordinary_count=1250,
        independent_count=416,
        event_count=76,
        windows=[pb.CrisisWindowCount(name="Far", scenario_count=0), pb.CrisisWindowCount(name="Near", scenario_count=17)],
        stand_ins=[pb.FactorStandIn(factor_id="spot:RLUSD", window="Near", moved_by="1.25 x spot:USDC")],
        proxies=[pb.FactorProxy(factor_id="spot:RLUSD", proxy_curve="spot:USDC", beta="1.25", idiosyncratic_fraction="0.5")],
    )


def printed(renderable) -> str:
    stream = io.StringIO()
    Console(file=stream, width=100).print(renderable)
    return stream.getvalue()


def test_distances_are_printed_with_their_units():
    lines = [
        line.split() for line in printed(distance_table(full_explanation_to_message(an_explanation()).liquidation_distances)).splitlines()
    ]
    assert ["BTC", "price", "-31.2%"] in lines
    assert ["USD-RATES", "zero", "rates", "+126", "bp"] in lines
    assert ["BTC", "volatility", "none"] in lines


def test_the_worst_direction_is_a_sentence():
    message = full_explanation_to_message(an_explanation()).worst_direction
    assert worst_direction_sentence(message).startswith(
        "Own worst direction: 1.75 times the average tail move liquidates (BTC price -31.2%, "
    )
    message.multiple = ""
    assert "ten times the average tail move does not liquidate" in worst_direction_sentence(message)


def test_concentration_and_advice_are_printed_with_their_numbers():
    message = full_explanation_to_message(an_explanation())
    assert diversification_sentence(message.diversification) == (
        "Diversification between groups frees 25.0%; largest group BTC with 60.0%; 2.5 effective bets."
    )
    assert diversification_sentence(pb.Diversification()) == "Nothing is at risk."
    assert "BTC-PERP 100 96 4.5%" in " ".join(printed(advice_table(message.isolation_advice)).split())


def test_the_confidence_lines_count_windows_and_name_stand_ins():
    text = " ".join(confidence_lines(full_explanation_to_message(an_explanation())))
    for words in (
        "90.0% of 400 histories drawn again in blocks of 3 days give 400 to 600",
        "31 scenarios, as good as 26.5 equal ones; stress has 54.0% of its weight and 80.0% of the ten worst",
        "take -8 of the market requirement",
        "1250 of history, 416 of them without overlap; 76 from named events; 17 days of 1 out of 2 crisis windows",
        "spot:RLUSD has no history in Near; instead: 1.25 x spot:USDC",
    ):
        assert words in text, words
