"""Deposits, policies and collateral holdings on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crossmargin.adapters.grpc_server.wire.values import (
    account_ref_from_name,
    book_id_from_text,
    inverse,
    moment_from_message,
    optional_moment_to_message,
)
from crossmargin.api.v1 import collateral_service_pb2 as pb
from crossmargin.domain.book import Deposit, Transfer, Withdrawal
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import CollateralLine, HeldPeg
from crossmargin.domain.money import format_decimal, parse_decimal

_POLICIES: Final = {
    pb.COLLATERAL_POLICY_RISKED: CollateralPolicy.RISKED,
    pb.COLLATERAL_POLICY_PLEDGED: CollateralPolicy.PLEDGED,
    pb.COLLATERAL_POLICY_AUTO: CollateralPolicy.AUTO,
}
_POLICY_VALUES: Final = inverse(_POLICIES)


def deposit_from_request(request: pb.DepositRequest) -> Deposit:
    """Return the deposit that a request records."""
    return Deposit(
        account=account_ref_from_name(request.account, what="account"),
        book_id=book_id_from_text(request.book_id),
        instrument_id=InstrumentId(request.instrument_id),
        quantity=parse_decimal(request.quantity, what="quantity"),
        received_at=moment_from_message(request.receive_time, what="receive_time"),
        reference=request.reference,
    )


def withdrawal_from_request(request: pb.WithdrawRequest) -> Withdrawal:
    """Return the withdrawal that a request asks for."""
    return Withdrawal(
        account=account_ref_from_name(request.account, what="account"),
        book_id=book_id_from_text(request.book_id),
        instrument_id=InstrumentId(request.instrument_id),
        quantity=parse_decimal(request.quantity, what="quantity"),
        reference=request.reference,
    )


def transfer_from_request(request: pb.TransferRequest) -> Transfer:
    """Return the transfer that a request asks for."""
    return Transfer(
        source=account_ref_from_name(request.source_account, what="source_account"),
        destination=account_ref_from_name(request.destination_account, what="destination_account"),
        book_id=book_id_from_text(request.book_id),
        instrument_id=InstrumentId(request.instrument_id),
        quantity=parse_decimal(request.quantity, what="quantity"),
        reference=request.reference,
    )


def policy_from_request(request: pb.SetPolicyRequest) -> AccountCollateralPolicy:
    """Return the policy that a request sets."""
    account = account_ref_from_name(request.account, what="account")
    return AccountCollateralPolicy(account, InstrumentId(request.instrument_id), _POLICIES[request.policy])


def holdings_to_messages(lines: Iterable[CollateralLine]) -> list[pb.CollateralHolding]:
    """Return messages of the lines in the order of their ids."""
    return [_holding_to_message(line) for line in sorted(lines, key=lambda line: line.instrument_id)]


def _holding_to_message(line: CollateralLine) -> pb.CollateralHolding:
    return pb.CollateralHolding(
        instrument_id=line.instrument_id,
        policy=pb.COLLATERAL_POLICY_UNSPECIFIED if line.policy is None else _POLICY_VALUES[line.policy],
        quantity=format_decimal(line.quantity),
        market_value=format_decimal(line.market_value),
        haircut=format_decimal(line.haircut),
        over_limit=format_decimal(line.over_limit),
        value_in_equity=format_decimal(line.value_in_equity),
        risked=format_decimal(line.risked),
        pledged=format_decimal(line.pledged),
        peg=None if line.peg is None else _peg_to_message(line.peg),
    )


def _peg_to_message(peg: HeldPeg) -> pb.HeldPeg:
    return pb.HeldPeg(
        price=format_decimal(peg.price),
        counted_price=format_decimal(peg.counted_price),
        below_since_time=optional_moment_to_message(peg.below_since),
        back_since_time=optional_moment_to_message(peg.back_since),
        lost=peg.is_lost,
    )
