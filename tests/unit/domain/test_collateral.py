"""A row of the haircut schedule that would reward more collateral with less value, or leave a gap, is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossmargin.domain.collateral import CollateralTerms, HaircutTier, MaturityBand
from crossmargin.domain.errors import DomainError, Reason

D = Decimal


def tiers(*ends_and_haircuts: tuple[str | None, str]) -> tuple[HaircutTier, ...]:
    return tuple(HaircutTier(None if end is None else D(end), D(haircut)) for end, haircut in ends_and_haircuts)


def band(up_to_years: str | None, *ends_and_haircuts: tuple[str | None, str]) -> MaturityBand:
    return MaturityBand(None if up_to_years is None else D(up_to_years), tiers(*(ends_and_haircuts or ((None, "0.1"),))))


def terms(*bands: MaturityBand, residual: str = "0.02", **limits: Decimal) -> CollateralTerms:
    return CollateralTerms("BTC", D(residual), bands or (band(None),), **limits)


def refusal(build):
    with pytest.raises(DomainError) as caught:
        build()
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
    assert "haircut schedule row BTC" in caught.value.message


@pytest.mark.parametrize("residual", ["0", "0.999"])
def test_a_residual_haircut_from_zero_to_below_one_is_accepted(residual):
    assert terms(residual=residual).residual_haircut_fraction == D(residual)


@pytest.mark.parametrize("residual", ["-0.001", "1"])
def test_a_residual_haircut_of_any_other_size_is_refused(residual):
    refusal(lambda: terms(residual=residual))


def test_the_last_maturity_band_is_open_ended():
    assert terms(band("1"), band("5"), band(None)).bands[-1].up_to_years is None
    refusal(lambda: terms(band("1"), band("5")))
    refusal(lambda: CollateralTerms("BTC", D(0), ()))


@pytest.mark.parametrize("years", [("5", "1", None), ("1", "1", None), (None, None), ("1", None, None), (None, "1", None)])
def test_maturity_bands_ascend(years):
    refusal(lambda: terms(*(band(end) for end in years)))


@pytest.mark.parametrize("ends", [("200", "100"), ("100", "100"), (None, "100"), (None, None), ("100", None, "200")])
def test_tiers_ascend(ends):
    refusal(lambda: terms(band(None, *((end, "0.1") for end in ends))))


def test_a_band_without_tiers_is_refused():
    refusal(lambda: terms(MaturityBand(None, ())))


def test_the_last_tier_may_have_an_end_or_none():
    assert terms(band(None, ("100", "0.1"), ("200", "0.2")))
    assert terms(band(None, ("100", "0.1"), (None, "0.2")))


@pytest.mark.parametrize("haircut", ["0", "1"])
def test_a_haircut_from_zero_to_one_is_accepted(haircut):
    assert terms(band(None, (None, haircut)))


@pytest.mark.parametrize("haircut", ["-0.01", "1.01"])
def test_a_haircut_of_any_other_size_is_refused(haircut):
    refusal(lambda: terms(band(None, (None, haircut))))


def test_haircuts_never_fall_from_tier_to_tier():
    assert terms(band(None, ("100", "0.1"), ("200", "0.1"), (None, "0.2")))
    refusal(lambda: terms(band(None, ("100", "0.2"), (None, "0.1"))))


def test_every_band_is_looked_at():
    refusal(lambda: terms(band("1"), band(None, ("100", "0.2"), (None, "0.1"))))


@pytest.mark.parametrize(("limit", "is_fine"), [("0", False), ("0.001", True), ("0.999", True), ("1", False)])
def test_a_share_limit_is_between_zero_and_one(limit, is_fine):
    if is_fine:
        assert terms(share_limit_fraction=D(limit))
    else:
        refusal(lambda: terms(share_limit_fraction=D(limit)))


def test_an_absolute_limit_is_zero_or_more():
    assert terms(absolute_limit=D(0)).absolute_limit == 0
    refusal(lambda: terms(absolute_limit=D("-0.01")))


def test_a_limit_by_volume_is_zero_or_more():
    assert terms(volume_limit_fraction=D(0)).volume_limit_fraction == 0
    refusal(lambda: terms(volume_limit_fraction=D("-0.01")))


@pytest.mark.parametrize(("limit", "is_fine"), [("-0.001", False), ("0", True), ("1", True), ("1.001", False)])
def test_a_limit_by_supply_is_between_nothing_and_all_of_it(limit, is_fine):
    if is_fine:
        assert terms(supply_limit_fraction=D(limit))
    else:
        refusal(lambda: terms(supply_limit_fraction=D(limit)))
