"""What every storage adapter says when a name is unknown, taken or used twice: the same reasons in the same words."""

from __future__ import annotations

from crossmargin.domain.account import Account, Client
from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.collateral import AccountCollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import (
    AccountRef,
    ClientId,
    HouseViewId,
    InstrumentId,
    PendingRequestId,
    RiskParameterSetId,
    SnapshotId,
)
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep
from crossmargin.domain.methodology import AccountMethodology
from crossmargin.domain.parameter_governance import GovernanceChange, GovernedParameters
from crossmargin.domain.pending_request import PendingEnd, PendingRequest
from crossmargin.domain.reconciliation import BreakNote, ReconciledStatement
from crossmargin.usecases.ports.writing import PublishedSnapshot, Record, UnderLead, WriteRequest


def unknown_client(client_id: ClientId) -> DomainError:
    """Return the error for a client that does not exist."""
    return DomainError(Reason.UNKNOWN_CLIENT, f"there is no client {client_id}; create it first", client=client_id)


def unknown_account(ref: AccountRef) -> DomainError:
    """Return the error for an account that does not exist."""
    return DomainError(Reason.UNKNOWN_ACCOUNT, f"there is no account {ref}; create it first", account=ref)


def sequence_not_reached(ref: AccountRef, *, sequence: int, wanted: int) -> DomainError:
    """Return the error for asking for an entry that an account does not have yet."""
    return DomainError(
        Reason.SEQUENCE_NOT_REACHED,
        f"account {ref} is at sequence {sequence}; {wanted} was asked for; read again",
        account=ref,
        sequence=sequence,
        min_seq=wanted,
    )


def unknown_call(ref: AccountRef, number: int) -> DomainError:
    """Return the error for a margin call that an account never had."""
    return DomainError(
        Reason.UNKNOWN_CALL, f"account {ref} has no margin call {number}; list what there is with ListCalls", account=ref, call=number
    )


def unknown_liquidation(ref: AccountRef, liquidation_id: PendingRequestId) -> DomainError:
    """Return the error for a liquidation that was never approved, or is of another account."""
    return DomainError(
        Reason.UNKNOWN_LIQUIDATION,
        f"{ref} has no liquidation {liquidation_id}; list what there is with ListLiquidations",
        account=ref,
        liquidation=liquidation_id,
    )


def unknown_entry(ref: AccountRef, sequence: int) -> DomainError:
    """Return the error for an entry that an account does not have."""
    return DomainError(
        Reason.UNKNOWN_ENTRY,
        f"account {ref} has no entry {sequence}; list what there is with ListEntries",
        account=ref,
        sequence=sequence,
    )


def already_cancelled(ref: AccountRef, sequence: int, reversed_by: int) -> DomainError:
    """Return the error for an entry that was taken back before."""
    return DomainError(
        Reason.ALREADY_CANCELLED,
        f"entry {sequence} of {ref} was cancelled already, by entry {reversed_by}",
        account=ref,
        sequence=sequence,
        cancelled_by=reversed_by,
    )


def unknown_instrument(instrument_id: InstrumentId) -> DomainError:
    """Return the error for an instrument that does not exist."""
    return DomainError(Reason.UNKNOWN_INSTRUMENT, f"there is no instrument {instrument_id}; create it first", instrument=instrument_id)


def unknown_break(statement_id: str, account: AccountRef, instrument_id: InstrumentId) -> DomainError:
    """Return the error for a break that does not exist."""
    return DomainError(
        Reason.UNKNOWN_BREAK,
        f"statement {statement_id} has no break in {instrument_id} of {account}; list what there is",
        statement=statement_id,
        account=account,
        instrument=instrument_id,
    )


def unknown_pending_request(pending_id: PendingRequestId) -> DomainError:
    """Return the error for a pending request that does not exist, or is of another client than the request that names it."""
    return DomainError(
        Reason.UNKNOWN_PENDING_REQUEST,
        f"there is no pending request {pending_id}; list what there is with ListPendingRequests",
        pending_request=pending_id,
    )


def unknown_snapshot(snapshot_id: SnapshotId) -> DomainError:
    """Return the error for a market snapshot that does not exist."""
    return DomainError(Reason.UNKNOWN_SNAPSHOT, f"there is no market snapshot {snapshot_id}", snapshot=snapshot_id)


def no_market_snapshot() -> DomainError:
    """Return the error for asking about the market before anything was published."""
    return DomainError(Reason.NO_MARKET_SNAPSHOT, "no market snapshot was published yet; publish quotes first")


def unknown_risk_parameters(set_id: RiskParameterSetId) -> DomainError:
    """Return the error for a risk parameter set that does not exist."""
    return DomainError(Reason.UNKNOWN_RISK_PARAMETERS, f"there are no risk parameters {set_id}", parameter_set=set_id)


def no_risk_parameters() -> DomainError:
    """Return the error for needing risk parameters when none are in force."""
    return DomainError(Reason.NO_RISK_PARAMETERS, "no risk parameters are in force; propose, approve and activate a set first")


def parameters_changed(set_id: RiskParameterSetId) -> DomainError:
    """Return the error for a step of a set that was decided on what is no longer so."""
    return DomainError(
        Reason.PARAMETERS_CHANGED,
        f"risk parameters {set_id}, or when sets are active, were changed by somebody else meanwhile; read again and decide anew",
        parameter_set=set_id,
    )


def unknown_scenario_set(content_hash: str) -> DomainError:
    """Return the error for a scenario set of which nothing is known."""
    return DomainError(
        Reason.UNKNOWN_SCENARIO_SET, f"no scenario set with the hash {content_hash} was ever built here", scenario_set=content_hash
    )


def unknown_house_view(view_id: HouseViewId) -> DomainError:
    """Return the error for a house view that was never stored."""
    return DomainError(Reason.UNKNOWN_HOUSE_VIEW, f"no house view {view_id} was ever stored here", house_view=view_id)


def already_exists(record: Record) -> DomainError:
    """Return the error for a record whose name is taken by another content."""
    noun, name = _name_of(record)
    return DomainError(
        Reason.ALREADY_EXISTS,
        f"{noun} {name} exists already with other content; choose another name or send what is stored",
        noun=noun,
        name=name,
    )


def request_id_reused(request: WriteRequest) -> DomainError:
    """Return the error for a request id that was used for another request."""
    return DomainError(
        Reason.REQUEST_ID_REUSED,
        f"request id {request.key} of {request.method} was used for another request; use a new id for a new request",
        request_id=request.key,
        method=request.method,
    )


def halted() -> DomainError:
    """Return the error for a request while its client or the house is halted, where it is not known which, nor why."""
    return DomainError(Reason.HALTED, "the house or the client is halted: facts are booked, requests are refused until it is resumed")


def unknown_reservation(ref: AccountRef, sequence: int) -> DomainError:
    """Return the error for a reservation that an account never had."""
    return DomainError(Reason.UNKNOWN_RESERVATION, f"account {ref} has no reservation {sequence}", account=ref, reservation=sequence)


def _name_of(record: Record) -> tuple[str, str]:  # noqa: PLR0911, PLR0912 - one for each kind of record
    match record:
        case Client(client_id=client_id):
            return "client", client_id
        case Account(ref=ref) | AccountMethodology(account=ref):
            return "account", str(ref)
        case Instrument(instrument_id=instrument_id):
            return "instrument", instrument_id
        case AccountCollateralPolicy(account=ref, instrument_id=instrument_id):
            return "collateral policy", f"{instrument_id} of {ref}"
        case PublishedSnapshot(snapshot=snapshot):
            return "market snapshot", snapshot.snapshot_id
        case GovernedParameters(governance=standing) | GovernanceChange(after=standing):
            return "risk parameters", standing.set_id
        case ExposureLimits(scope=scope):
            return "limits", scope
        case Halt(scope=scope):
            return "halt", scope
        case CallAgreement(scope=scope):
            return "call terms", f"of {scope}"
        case MarginCall(account=ref, number=number):
            return "margin call", f"{number} of {ref}"
        case CallNotice(account=ref, sequence=number):
            return "notice", f"{number} of {ref}"
        case Liquidation(account=ref, liquidation_id=name):
            return "open liquidation", f"of {ref}, not {name},"
        case LiquidationStep(account=ref, liquidation_id=name, number=number):
            return "step", f"{number} of liquidation {name} of {ref}"
        case UnderLead(epoch=epoch):
            return "lead", str(epoch)
        case PendingRequest(pending_id=pending_id) | PendingEnd(pending_id=pending_id):
            return "pending request", pending_id
        case ReconciledStatement(statement=statement):
            return "statement", statement.statement_id
        case BreakNote(statement_id=statement_id, instrument_id=instrument_id, account=ref):
            return "note", f"on {instrument_id} of {ref} in statement {statement_id}"
