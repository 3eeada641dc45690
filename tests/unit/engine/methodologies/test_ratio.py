import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.engine.methodologies.ratio import RatioParameters, RatioRate, check_bucket, ratio_margin

BTC, ETH = InstrumentId("BTC-PERP"), InstrumentId("ETH-PERP")
PARAMETERS = RatioParameters({BTC: RatioRate(0.1, 0.05), ETH: RatioRate(0.2, 0.1)})


def test_long_and_short_add_up_and_each_has_its_own_rates():
    margin = ratio_margin([BTC, ETH], np.array([1000.0, -500.0]), PARAMETERS)
    assert margin.initial == pytest.approx(200.0)
    assert margin.maintenance == pytest.approx(100.0)


def test_no_holdings_need_nothing():
    assert ratio_margin([], np.zeros(0), PARAMETERS).initial == 0.0


def test_an_instrument_without_rates_is_refused_by_name():
    with pytest.raises(DomainError) as caught:
        ratio_margin([InstrumentId("DOGE")], np.ones(1), PARAMETERS)
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
    assert caught.value.facts["instrument"] == "DOGE"


@pytest.mark.parametrize("rates", [(0.1, 0.2), (0.1, -0.05), (float("nan"), 0.1)])
def test_rates_below_zero_or_out_of_order_are_refused(rates):
    with pytest.raises(DomainError) as caught:
        RatioRate(*rates)
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS


def test_a_bucket_is_covered_exactly_at_its_requirement():
    assert check_bucket(collateral=100.0, pnl=0.0, requirement=100.0).is_covered
    assert not check_bucket(collateral=100.0, pnl=-0.01, requirement=100.0).is_covered


@pytest.mark.parametrize(
    ("pnl", "client_loss", "gap_loss"), [(50.0, 0.0, 0.0), (-40.0, 40.0, 0.0), (-100.0, 100.0, 0.0), (-130.0, 100.0, 30.0)]
)
def test_the_client_loses_at_most_what_was_moved_in(pnl, client_loss, gap_loss):
    check = check_bucket(collateral=100.0, pnl=pnl, requirement=0.0)
    assert (check.client_loss, check.gap_loss) == (client_loss, gap_loss)
