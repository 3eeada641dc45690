"""Clients and accounts on the wire."""

from __future__ import annotations

from typing import Final

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name, inverse
from crossmargin.api.v1 import account_service_pb2 as pb
from crossmargin.domain.account import Account, AccountMode, Client
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.methodology import AccountMethodology, Methodology

_MODES: Final = {pb.ACCOUNT_MODE_CROSS: AccountMode.CROSS, pb.ACCOUNT_MODE_ISOLATED: AccountMode.ISOLATED}
_MODE_VALUES: Final = inverse(_MODES)
_METHODOLOGIES: Final = {
    pb.METHODOLOGY_EXPECTED_SHORTFALL: Methodology.EXPECTED_SHORTFALL,
    pb.METHODOLOGY_SPAN_GRID: Methodology.SPAN_GRID,
    pb.METHODOLOGY_TIMS_GRID: Methodology.TIMS_GRID,
    pb.METHODOLOGY_STANDARD_SCHEDULE: Methodology.STANDARD_SCHEDULE,
    pb.METHODOLOGY_RATIO: Methodology.RATIO,
}
_METHODOLOGY_VALUES: Final = inverse(_METHODOLOGIES)


def client_from_message(message: pb.Client) -> Client:
    """Return the client of a message."""
    return Client(ClientId(message.client_id), message.display_name)


def client_to_message(client: Client) -> pb.Client:
    """Return the message of a client."""
    return pb.Client(client_id=client.client_id, display_name=client.display_name)


def account_from_message(message: pb.Account) -> Account:
    """Return the account of a message; INVALID_ARGUMENT for a parent that belongs to another client."""
    ref = account_ref_from_name(message.name, what="account.name")
    return Account(ref, message.display_name, _MODES[message.mode], _parent_from_name(message.parent_account, ref))


def account_to_message(account: Account) -> pb.Account:
    """Return the message of an account."""
    parent = "" if account.parent is None else str(AccountRef(account.ref.client_id, account.parent))
    return pb.Account(
        name=str(account.ref),
        display_name=account.display_name,
        mode=_MODE_VALUES[account.mode],
        parent_account=parent,
        methodology=methodology_to_message(account.methodology),
    )


def methodology_from_request(request: pb.SetMethodologyRequest) -> AccountMethodology:
    """Return the methodology that a request sets."""
    return AccountMethodology(account_ref_from_name(request.account, what="account"), methodology_from_message(request.methodology))


def methodology_from_message(value: pb.Methodology.ValueType) -> Methodology:
    """Return the methodology of a message value; what says nothing is from before there were others."""
    return Methodology.EXPECTED_SHORTFALL if value == pb.METHODOLOGY_UNSPECIFIED else _METHODOLOGIES[value]


def methodology_to_message(methodology: Methodology) -> pb.Methodology.ValueType:
    """Return the message value of a methodology."""
    return _METHODOLOGY_VALUES[methodology]


def _parent_from_name(name: str, ref: AccountRef) -> AccountId | None:
    if not name:
        return None
    parent = account_ref_from_name(name, what="account.parent_account")
    if parent.client_id != ref.client_id:
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"account.parent_account was {parent}; expected an account of {ref.client_id}, the client of {ref}",
            field="account.parent_account",
            value=parent,
            expected=f"an account of {ref.client_id}",
        )
    return parent.account_id
