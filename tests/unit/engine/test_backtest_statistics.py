import numpy as np
import pytest
from scipy import stats

from crossmargin.domain.backtest import Zone
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.engine.backtest_statistics import (
    conditional_coverage,
    independence,
    largest_rise,
    peak_to_trough,
    proportion_of_failures,
    shortfall_and_frequency,
    shortfall_given_breach,
    simulated_p_value,
    traffic_light,
    zone_limits,
    zone_limits_by_exceedance,
)

BASEL = {"yellow_from": 0.95, "red_from": 0.9999}


def breaches_on(days, *, of):
    breached = np.zeros(of, dtype=np.bool_)
    breached[list(days)] = True
    return breached


# Coverage


def test_exactly_the_expected_number_of_breaches_is_no_evidence():
    result = proportion_of_failures(1000, 10, 0.01)
    assert result.statistic == 0.0
    assert result.p_value == 1.0


def test_rounding_never_makes_a_statistic_negative():
    # One bit below 2 in 5, where two equal likelihoods differ by their last bit the wrong way.
    assert proportion_of_failures(5, 2, float(np.nextafter(0.4, 0.0))).statistic == 0.0


@pytest.mark.parametrize(("breaches", "statistic"), [(0, -2 * 250 * np.log(0.99)), (250, -2 * 250 * np.log(0.01))])
def test_none_and_all_breached_have_their_limit(breaches, statistic):
    assert proportion_of_failures(250, breaches, 0.01).statistic == pytest.approx(statistic, rel=1e-12)


def test_the_p_value_is_that_of_chi_squared():
    result = proportion_of_failures(250, 6, 0.01)
    assert result.p_value == pytest.approx(stats.chi2.sf(result.statistic, 1), rel=1e-12)
    joint = conditional_coverage(breaches_on(range(6), of=250), 0.01)
    assert joint.p_value == pytest.approx(stats.chi2.sf(joint.statistic, 2), rel=1e-12)


def test_breaches_in_a_row_are_not_independent_and_the_same_number_spread_out_is():
    in_a_row, apart = breaches_on(range(100, 106), of=250), breaches_on(range(10, 250, 40), of=250)
    assert independence(in_a_row).p_value < 1e-6
    assert independence(apart).p_value > 0.5
    assert conditional_coverage(in_a_row, 0.01).p_value < conditional_coverage(apart, 0.01).p_value


def test_independence_follows_the_formula_of_its_transition_counts():
    # 0-0 three times, 0-1 twice, 1-0 twice, 1-1 twice.
    breached = np.array([False, True, True, False, False, False, False, True, True, False])
    apart = 3 * np.log(3 / 5) + 2 * np.log(2 / 5) + 2 * np.log(2 / 4) + 2 * np.log(2 / 4)
    together = 5 * np.log(5 / 9) + 4 * np.log(4 / 9)
    assert independence(breached).statistic == pytest.approx(2 * (apart - together), rel=1e-12)


@pytest.mark.parametrize("breached", [np.zeros(50, dtype=bool), np.ones(50, dtype=bool), np.zeros(1, dtype=bool), np.zeros(0, dtype=bool)])
def test_a_series_that_never_changes_shows_no_dependence(breached):
    assert independence(breached).statistic == 0.0


def test_conditional_coverage_is_coverage_and_independence():
    breached = breaches_on((3, 4, 90, 200), of=250)
    total = proportion_of_failures(250, 4, 0.01).statistic + independence(breached).statistic
    assert conditional_coverage(breached, 0.01).statistic == pytest.approx(total, rel=1e-12)


# Zones


@pytest.mark.parametrize(("breaches", "zone"), [(0, Zone.GREEN), (4, Zone.GREEN), (5, Zone.YELLOW), (9, Zone.YELLOW), (10, Zone.RED)])
def test_the_zones_of_a_year_at_one_percent(breaches, zone):
    assert traffic_light(250, breaches, 0.01, **BASEL) is zone


@pytest.mark.parametrize(("observations", "fraction"), [(1, 0.01), (60, 0.01), (500, 0.01), (1250, 0.025), (250, 0.5)])
def test_zones_begin_where_the_binomial_reaches_their_probability(observations, fraction):
    limits = zone_limits(observations, fraction, **BASEL)
    binomial = stats.binom(observations, fraction)
    assert limits.green_max == 0 or binomial.cdf(limits.green_max) < 0.95
    assert limits.yellow_max == limits.green_max or binomial.cdf(limits.yellow_max) < 0.9999
    assert binomial.cdf(limits.green_max + 1) >= 0.95
    assert binomial.cdf(limits.yellow_max + 1) >= 0.9999


def test_no_breach_is_green_even_on_one_day():
    assert traffic_light(1, 0, 0.01, **BASEL) is Zone.GREEN


@pytest.mark.parametrize("arguments", [(0, 0, 0.01), (250, -1, 0.01), (250, 251, 0.01), (250, 1, 0.0), (250, 1, 1.0)])
def test_counts_that_cannot_be_are_refused(arguments):
    for test in (proportion_of_failures, lambda *given: traffic_light(*given, **BASEL)):
        with pytest.raises(DomainError) as caught:
            test(*arguments)
        assert caught.value.reason is Reason.INVALID_ARGUMENT


@pytest.mark.parametrize("lines", [{"yellow_from": 0.99, "red_from": 0.95}, {"yellow_from": 0.0, "red_from": 0.5}])
def test_zones_out_of_order_are_refused(lines):
    with pytest.raises(DomainError):
        zone_limits(250, 0.01, **lines)


# Size of the breaches


def test_z1_is_the_mean_excess_over_the_forecast_on_days_of_a_breach():
    pnl = np.array([-6.0, 1.0, -3.0, -12.0])
    # Breaches of 4 are the first and the last: 6/5 and 12/10 of their forecasts.
    assert shortfall_given_breach(pnl, np.full(4, 4.0), np.array([5.0, 5.0, 5.0, 10.0])) == pytest.approx(1 - 1.2)


def test_z2_counts_how_many_breaches_there_are_as_well():
    pnl = np.array([-5.0] * 2 + [1.0] * 18)
    value_at_risk, expected_shortfall = np.full(20, 4.0), np.full(20, 5.0)
    assert shortfall_given_breach(pnl, value_at_risk, expected_shortfall) == pytest.approx(0.0)
    assert shortfall_and_frequency(pnl, value_at_risk, expected_shortfall, alpha=0.1) == pytest.approx(0.0)
    assert shortfall_and_frequency(pnl, value_at_risk, expected_shortfall, alpha=0.05) == pytest.approx(-1.0)


def test_a_loss_of_exactly_the_value_at_risk_is_no_breach():
    pnl, forecast = np.array([-4.0]), np.array([4.0])
    assert np.isnan(shortfall_given_breach(pnl, forecast, forecast))
    assert shortfall_and_frequency(pnl, forecast, forecast, alpha=0.1) == 1.0


def test_paths_are_measured_one_by_one():
    random = np.random.default_rng(7)
    pnl, value_at_risk, expected_shortfall = random.normal(size=(5, 60)), np.full(60, 1.0), np.full(60, 1.5)
    z1, z2 = (
        shortfall_given_breach(pnl, value_at_risk, expected_shortfall),
        shortfall_and_frequency(pnl, value_at_risk, expected_shortfall, alpha=0.15),
    )
    for path in range(5):
        assert z1[path] == pytest.approx(shortfall_given_breach(pnl[path], value_at_risk, expected_shortfall))
        assert z2[path] == pytest.approx(shortfall_and_frequency(pnl[path], value_at_risk, expected_shortfall, alpha=0.15))


@pytest.mark.parametrize("tail", [stats.norm(), stats.t(5), stats.t(10)], ids=["normal", "t5", "t10"])
def test_right_forecasts_centre_both_statistics_and_z2_has_the_published_quantile(tail):
    seed, alpha, days, paths = 20140331, 0.025, 250, 8000
    print(f"seed {seed}")
    value_at_risk = -tail.ppf(alpha)
    expected_shortfall = -tail.expect(lambda x: x, lb=-np.inf, ub=-value_at_risk) / alpha
    pnl = tail.rvs(size=(paths, days), random_state=np.random.default_rng(seed))
    forecasts = np.full(days, value_at_risk), np.full(days, expected_shortfall)
    z1, z2 = shortfall_given_breach(pnl, *forecasts), shortfall_and_frequency(pnl, *forecasts, alpha=alpha)
    # Both have a deviation of at most 0.5, so their means over 8,000 paths are within 0.02 of zero at more than three deviations.
    assert np.nanmean(z1) == pytest.approx(0.0, abs=0.02)
    assert z2.mean() == pytest.approx(0.0, abs=0.02)
    # Acerbi and Szekely 2014 give -0.7 from the normal down to tails this heavy; the sampling error here is 0.02.
    assert np.quantile(z2, 0.05) == pytest.approx(-0.72, abs=0.06)
    assert simulated_p_value(float(np.quantile(z2, 0.05)), z2) == pytest.approx(0.05, abs=0.001)


def test_the_simulated_p_value_leaves_out_paths_without_a_statistic():
    assert simulated_p_value(-0.5, np.array([-1.0, np.nan, -0.5, 0.5, 1.0])) == 0.5


@pytest.mark.parametrize(("statistic", "simulated"), [(np.nan, [0.0]), (0.0, [np.nan])])
def test_a_p_value_of_nothing_is_refused(statistic, simulated):
    with pytest.raises(DomainError) as caught:
        simulated_p_value(statistic, np.array(simulated))
    assert caught.value.reason is Reason.INVALID_ARGUMENT


def test_a_forecast_without_shortfall_is_refused():
    with pytest.raises(DomainError):
        shortfall_given_breach(np.zeros(2), np.ones(2), np.array([1.0, 0.0]))


# Procyclicality


def test_peak_to_trough_and_rises_of_a_series():
    requirement = np.array([100.0, 110.0, 99.0, 150.0, 60.0, 90.0])
    assert peak_to_trough(requirement) == 2.5
    assert largest_rise(requirement, 1) == pytest.approx(51 / 99)
    assert largest_rise(requirement, 2) == pytest.approx(40 / 110)


def test_a_requirement_that_only_falls_has_no_rise():
    assert largest_rise(np.array([3.0, 2.0, 1.0]), 1) == 0.0


@pytest.mark.parametrize("days", [0, 3, 4, -1])
def test_a_rise_needs_more_days_than_its_length(days):
    with pytest.raises(DomainError):
        largest_rise(np.ones(3), days)


@pytest.mark.parametrize("requirement", [np.zeros(0), np.array([1.0, 0.0]), np.array([1.0, np.nan])])
def test_a_requirement_that_is_not_above_zero_is_refused(requirement):
    for measure in (peak_to_trough, lambda series: largest_rise(series, 1)):
        with pytest.raises(DomainError):
            measure(requirement)


@pytest.mark.parametrize("observations", [100, 250, 1121])
def test_by_exceedance_a_zone_begins_where_so_many_breaches_or_more_are_improbable(observations):
    found = zone_limits_by_exceedance(observations, 0.01, **BASEL)
    exceedance = stats.binom.sf(np.arange(observations + 1) - 1, observations, 0.01)
    assert found.green_max == int(np.argmax(exceedance <= 0.05)) - 1
    assert found.yellow_max == int(np.argmax(exceedance <= 0.0001)) - 1
