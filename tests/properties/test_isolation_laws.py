"""Laws of isolated accounts: the client's loss is capped, and what goes beyond it is the broker's. For the core see test_owner_laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.methodology import Methodology
from crossmargin.engine.gap_loss import gap_losses
from crossmargin.engine.methodologies.ratio import check_bucket
from tests.methodology_books import margin

amounts = st.floats(-1e6, 1e6)
methodologies = st.sampled_from(Methodology)
quantities = st.decimals(-5, 5, places=2).filter(bool)
cash = st.decimals(0, 200_000, places=2)


@given(amounts, st.lists(amounts, min_size=1, max_size=8))
def test_every_loss_is_the_client_s_up_to_equity_and_the_broker_s_beyond(equity, pnl):
    losses = gap_losses(equity, np.array(pnl))
    for loss, profit in zip(losses, pnl, strict=True):
        check = check_bucket(collateral=max(0.0, equity), pnl=profit + min(0.0, equity), requirement=0.0)
        assert loss == pytest.approx(check.gap_loss, abs=1e-6)
        assert 0.0 <= check.client_loss <= max(0.0, equity)


@given(quantities, cash, st.decimals(1, 100_000, places=2), methodologies)
def test_more_collateral_never_widens_the_gap(quantity, held, more, methodology):
    def gap(amount):
        return margin(methodology, {"USD": amount, "PERP": (quantity, quantity * 60_000)}, mode=AccountMode.ISOLATED).gap

    before, after = gap(held), gap(held + more)
    assert after.expected <= before.expected <= after.expected + more
    assert after.worst <= before.worst
    assert before.expected <= before.worst
    assert (before.worst == 0) == (before.worst_scenario == "")
