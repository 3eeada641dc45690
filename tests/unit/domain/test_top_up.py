"""What an inventory may say, how much of it can be delivered, and what is still missing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.top_up import MOST_ITEMS, InventoryItem, TopUpGoal, TopUpTarget, check_inventory

D = Decimal
CENT = D("0.01")


def item(quantity="100", rate="0", lot=None, least="0", name="RLUSD"):
    return InventoryItem(InstrumentId(name), D(quantity), D(rate), None if lot is None else D(lot), D(least))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"quantity": "0"}, "quantity of RLUSD was 0; expected more than zero"),
        ({"quantity": "-1"}, "quantity of RLUSD"),
        ({"rate": "-0.1"}, "cost_rate of RLUSD was -0.1; expected a fraction from 0 to 100"),
        ({"rate": "100.1"}, "cost_rate of RLUSD"),
        ({"lot": "0"}, "lot_size of RLUSD was 0; expected more than zero"),
        ({"least": "-1"}, "minimum_transfer of RLUSD was -1; expected zero or more"),
        ({"quantity": "NaN"}, "quantity of RLUSD"),
    ],
)
def test_an_item_that_makes_no_sense_is_refused(changes, word):
    with pytest.raises(DomainError, match=word):
        item(**changes)


def test_what_can_be_delivered_is_whole_lots_and_not_below_the_minimum():
    assert item("100.555").deliverable(CENT) == D("100.55")
    assert item("100", lot="30").deliverable(CENT) == 90
    assert item("100", lot="30", least="90").deliverable(CENT) == 90
    assert item("100", lot="30", least="90.01").deliverable(CENT) == 0
    assert item("100", lot="300").deliverable(CENT) == 0


@pytest.mark.parametrize(
    ("goal", "utilization"),
    [
        (TopUpGoal.UTILIZATION, None),
        (TopUpGoal.UTILIZATION, D(0)),
        (TopUpGoal.UTILIZATION, D("1.01")),
        (TopUpGoal.UTILIZATION, D("NaN")),
        (TopUpGoal.INITIAL_MARGIN, D("0.5")),
        (TopUpGoal.OPEN_CALL, D("0.5")),
    ],
)
def test_a_target_is_a_utilization_or_none(goal, utilization):
    with pytest.raises(DomainError, match="target_utilization was"):
        TopUpTarget(goal, utilization)
    assert TopUpTarget(TopUpGoal.UTILIZATION, D(1)).utilization == 1


def test_an_inventory_names_each_instrument_once_and_few():
    check_inventory([item(name=f"COIN{number}") for number in range(MOST_ITEMS)])
    for inventory, word in (([], "0 items"), ([item(), item()], "RLUSD twice"), ([item(name=f"C{n}") for n in range(21)], "21 items")):
        with pytest.raises(DomainError, match=word) as told:
            check_inventory(inventory)
        assert told.value.reason is Reason.INVALID_ARGUMENT
