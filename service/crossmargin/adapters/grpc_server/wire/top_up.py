"""Top-ups on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crossmargin.adapters.grpc_server.wire.margin import utilization_text
from crossmargin.adapters.grpc_server.wire.values import format_fraction, inverse
from crossmargin.api.v1 import collateral_service_pb2 as pb
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.domain.top_up import InventoryItem, ItemUse, TopUp, TopUpGoal, TopUpLine, TopUpStanding, TopUpTarget

_GOALS: Final = {
    pb.TOP_UP_GOAL_INITIAL_MARGIN: TopUpGoal.INITIAL_MARGIN,
    pb.TOP_UP_GOAL_UTILIZATION: TopUpGoal.UTILIZATION,
    pb.TOP_UP_GOAL_OPEN_CALL: TopUpGoal.OPEN_CALL,
}
_GOAL_VALUES: Final = inverse(_GOALS)
_USES: Final = {
    ItemUse.SPARE: pb.TOP_UP_USE_SPARE,
    ItemUse.EXHAUSTED: pb.TOP_UP_USE_EXHAUSTED,
    ItemUse.COUNTS_NO_MORE: pb.TOP_UP_USE_COUNTS_NO_MORE,
    ItemUse.NOT_ELIGIBLE: pb.TOP_UP_USE_NOT_ELIGIBLE,
    ItemUse.BELOW_MINIMUM: pb.TOP_UP_USE_BELOW_MINIMUM,
    ItemUse.NO_VALUE: pb.TOP_UP_USE_NO_VALUE,
}


def target_from_request(request: pb.SuggestTopUpRequest) -> TopUpTarget:
    """Return where a top-up is to bring the account; errors as `TopUpTarget`."""
    utilization = parse_decimal(request.target_utilization, what="target_utilization") if request.target_utilization else None
    otherwise = TopUpGoal.INITIAL_MARGIN if utilization is None else TopUpGoal.UTILIZATION
    return TopUpTarget(_GOALS.get(request.goal, otherwise), utilization)


def inventory_from_messages(messages: Iterable[pb.InventoryItem]) -> list[InventoryItem]:
    """Return what a client has at hand, in its order; errors as `InventoryItem`."""
    return list(map(_item_from_message, messages))


def top_up_to_message(top_up: TopUp) -> pb.SuggestTopUpResponse:
    """Return the message of a suggestion."""
    utilization = top_up.target.utilization
    return pb.SuggestTopUpResponse(
        account=str(top_up.stamp.account),
        goal=_GOAL_VALUES[top_up.target.goal],
        target_utilization="" if utilization is None else format_fraction(utilization),
        call_number=0 if top_up.call is None else top_up.call.number,
        before=_standing_to_message(top_up.before),
        after=_standing_to_message(top_up.after),
        lines=map(_line_to_message, top_up.lines),
        cost=format_decimal(top_up.cost),
        least_cost=format_decimal(top_up.least_cost),
        reaches_target=top_up.reaches_target,
        missing_before=format_decimal(top_up.missing_before),
        missing=format_decimal(top_up.missing),
        summary=top_up.words,
        as_of_seq=top_up.stamp.sequence,
        snapshot_id=top_up.stamp.snapshot_id,
        parameter_set_id=top_up.stamp.parameter_set_id,
        engine_version=top_up.stamp.engine_version,
    )


def _item_from_message(message: pb.InventoryItem) -> InventoryItem:
    name = message.instrument_id
    return InventoryItem(
        instrument_id=InstrumentId(name),
        quantity=parse_decimal(message.quantity, what=f"quantity of {name}"),
        cost_rate=parse_decimal(message.cost_rate or "0", what=f"cost_rate of {name}"),
        lot=parse_decimal(message.lot_size, what=f"lot_size of {name}") if message.lot_size else None,
        minimum_transfer=parse_decimal(message.minimum_transfer or "0", what=f"minimum_transfer of {name}"),
    )


def _standing_to_message(standing: TopUpStanding) -> pb.TopUpStanding:
    return pb.TopUpStanding(
        equity=format_decimal(standing.equity),
        maintenance_margin=format_decimal(standing.maintenance_margin),
        initial_margin=format_decimal(standing.initial_margin),
        excess=format_decimal(standing.excess),
        utilization=utilization_text(standing.utilization),
        band=standing.band.value,
    )


def _line_to_message(line: TopUpLine) -> pb.TopUpLine:
    return pb.TopUpLine(
        instrument_id=line.instrument_id,
        quantity=format_decimal(line.quantity),
        market_value=format_decimal(line.market_value),
        value_in_equity=format_decimal(line.value_in_equity),
        cost=format_decimal(line.cost),
        use=_USES[line.use],
    )
