import pytest

from crossmargin.engine.mitigated_exposure import mitigated_exposure

HAIRCUTS = {"exposure_haircut_fraction": 0.0, "collateral_haircut_fraction": 0.0, "currency_mismatch_fraction": 0.0}


def test_more_collateral_than_exposure_leaves_nothing():
    assert mitigated_exposure(exposure=100.0, collateral=101.0, **HAIRCUTS) == 0.0


def test_without_collateral_the_exposure_stays_with_its_own_haircut():
    assert mitigated_exposure(exposure=100.0, collateral=0.0, **HAIRCUTS | {"exposure_haircut_fraction": 0.08}) == pytest.approx(108.0)


@pytest.mark.parametrize("name", list(HAIRCUTS))
def test_every_haircut_adds_to_what_is_left(name):
    assert mitigated_exposure(exposure=100.0, collateral=100.0, **HAIRCUTS | {name: 0.08}) == pytest.approx(8.0)
