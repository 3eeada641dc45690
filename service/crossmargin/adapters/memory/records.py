"""Creates the records of a decision in its staging; a record that is there already with the same content is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from crossmargin.adapters.memory.database import Contents
from crossmargin.adapters.memory.liquidation import store_liquidation_record
from crossmargin.adapters.memory.margin_calls import store_call_record
from crossmargin.adapters.memory.market import latest_of
from crossmargin.adapters.memory.pending_requests import end_pending, store_pending
from crossmargin.domain.account import GENESIS_HASH, Account, AccountHead, AccountStatus, Client
from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.collateral import AccountCollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep
from crossmargin.domain.methodology import AccountMethodology
from crossmargin.domain.parameter_governance import GovernanceChange, GovernedParameters, ParameterState
from crossmargin.domain.pending_request import PendingEnd, PendingRequest
from crossmargin.domain.reconciliation import BreakNote, ReconciledStatement
from crossmargin.usecases.ports.writing import PrecedingSnapshotChangedError, PublishedSnapshot, Record, UnderLead
from crossmargin.usecases.storage_errors import already_exists, parameters_changed, unknown_account, unknown_client, unknown_instrument


def store_record(staged: Contents, record: Record, *, now: datetime) -> None:  # noqa: PLR0912 - one for each kind of record
    """Create a record, or leave an equal one alone; a policy or a methodology replaces the one before.

    Raises:
        DomainError: ALREADY_EXISTS when the name is taken by another content; UNKNOWN_CLIENT, UNKNOWN_ACCOUNT or UNKNOWN_INSTRUMENT when
            the record refers to something that does not exist; PARAMETERS_CHANGED when a change was decided on what is no longer so.
    """
    match record:
        case Client():
            is_stored = staged.clients.setdefault(record.client_id, record) == record
        case Account():
            is_stored = _store_account(staged, record)
        case Instrument():
            is_stored = staged.instruments.setdefault(record.instrument_id, record) == record
        case AccountCollateralPolicy() | AccountMethodology():
            is_stored = _replace(staged, record)
        case PublishedSnapshot():
            is_stored = _store_snapshot(staged, record)
        case GovernedParameters():
            is_stored = _store_parameters(staged, record)
        case GovernanceChange():
            is_stored = _change_governance(staged, record)
        case ExposureLimits():
            is_stored = _store_limits(staged, record, now)
        case Halt():
            is_stored = _store_halt(staged, record, now)
        case ReconciledStatement():
            is_stored = staged.statements.setdefault(record.statement.statement_id, record).statement == record.statement
        case BreakNote():
            is_stored = _store_note(staged, record)
        case CallAgreement() | MarginCall() | CallNotice():
            is_stored = store_call_record(staged, record, now)
        case Liquidation() | LiquidationStep():
            is_stored = store_liquidation_record(staged, record)
        case PendingRequest():
            is_stored = store_pending(staged, record, now)
        case PendingEnd():
            is_stored = end_pending(staged, record, now)
        case UnderLead():
            is_stored = True  # looked at by the writer, which knows the lead
    if not is_stored:
        raise already_exists(record)


def _store_snapshot(staged: Contents, new: PublishedSnapshot) -> bool:
    before = latest_of(staged.snapshots.values(), before=new.snapshot.as_of)
    if new.before != (None if before is None else before.snapshot_id):
        raise PrecedingSnapshotChangedError(new.snapshot.snapshot_id)
    return staged.snapshots.setdefault(new.snapshot.snapshot_id, new.snapshot).content_hash == new.snapshot.content_hash


def _store_note(staged: Contents, new: BreakNote) -> bool:
    name = (new.statement_id, new.account, new.instrument_id, new.number)
    return staged.break_notes.setdefault(name, new) is new


def _store_account(staged: Contents, new: Account) -> bool:
    if new.ref in staged.accounts:
        return staged.accounts[new.ref] == new
    if new.ref.client_id not in staged.clients:
        raise unknown_client(new.ref.client_id)
    if new.parent is not None and (parent := AccountRef(new.ref.client_id, new.parent)) not in staged.accounts:
        raise unknown_account(parent)
    staged.accounts[new.ref] = new
    staged.heads[new.ref] = AccountHead(new.ref, new.mode, AccountStatus.OPEN, sequence=0, chain_hash=GENESIS_HASH)
    return True


def _replace(staged: Contents, new: AccountCollateralPolicy | AccountMethodology) -> bool:
    """Store what an account has one of, instead of the one before."""
    if isinstance(new, AccountMethodology):
        return _store_methodology(staged, new)
    return _store_policy(staged, new)


def _store_policy(staged: Contents, new: AccountCollateralPolicy) -> bool:
    if new.account not in staged.accounts:
        raise unknown_account(new.account)
    if new.instrument_id not in staged.instruments:
        raise unknown_instrument(new.instrument_id)
    staged.policies[new.account] = {**staged.policies.get(new.account, {}), new.instrument_id: new.policy}
    return True


def _store_limits(staged: Contents, new: ExposureLimits, now: datetime) -> bool:
    if new.client_id not in staged.clients:
        raise unknown_client(new.client_id)
    staged.limits[new.client_id, new.account_id] = replace(new, set_at=now)
    return True


def _store_halt(staged: Contents, new: Halt, now: datetime) -> bool:
    if new.client_id is not None and new.client_id not in staged.clients:
        raise unknown_client(new.client_id)
    staged.halts[new.scope] = replace(new, changed_at=now)
    return True


def _store_methodology(staged: Contents, new: AccountMethodology) -> bool:
    if new.account not in staged.accounts:
        raise unknown_account(new.account)
    staged.accounts[new.account] = replace(staged.accounts[new.account], methodology=new.methodology)
    return True


def _store_parameters(staged: Contents, new: GovernedParameters) -> bool:
    set_id, governance = new.governance.set_id, new.governance
    if set_id in staged.risk_parameters:
        return staged.risk_parameters[set_id].content_hash == governance.content_hash
    staged.risk_parameters[set_id] = new.parameters
    staged.governance[set_id] = governance
    if governance.activation is not None:
        staged.activations[set_id] = governance.activation
    return True


def _change_governance(staged: Contents, change: GovernanceChange) -> bool:
    set_id = change.after.set_id
    if staged.governance.get(set_id) != change.before or len(staged.activations) != change.activation_count:
        raise parameters_changed(set_id)
    staged.governance[set_id] = change.after
    if change.after.activation is not None:
        staged.activations[set_id] = change.after.activation
    for retired in change.retires:
        staged.governance[retired] = replace(staged.governance[retired], state=ParameterState.RETIRED)
    return True
