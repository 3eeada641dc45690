"""What the memory adapters share: dictionaries of immutable values, and one lock for all writers."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from crossmargin.domain.account import Account, AccountHead, Client
from crossmargin.domain.audit_anchor import Anchor
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.book import Entry
from crossmargin.domain.breaker import Breaker, BreakerKind
from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt, scope_of
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import (
    AccountId,
    AccountRef,
    BookId,
    ClientId,
    HouseViewId,
    InstrumentId,
    PendingRequestId,
    RiskParameterSetId,
    SnapshotId,
    SourceId,
)
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep
from crossmargin.domain.margin_history import StoredPoint
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.parameter_governance import Activation, Governance
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.domain.position import Position
from crossmargin.domain.quote import Quote, SourceProgress, Subject
from crossmargin.domain.reconciliation import BreakNote, ReconciledStatement
from crossmargin.domain.reservation import Reservation
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.usecases.ports.market import ScenarioRecipe


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """What a key was decided to."""

    request_hash: bytes
    response: bytes


@dataclass(frozen=True)
class Contents:
    """All that is stored, by key. Keys come in the order they were stored; values are never changed, only replaced."""

    clients: MutableMapping[ClientId, Client] = field(default_factory=dict)
    accounts: MutableMapping[AccountRef, Account] = field(default_factory=dict)
    heads: MutableMapping[AccountRef, AccountHead] = field(default_factory=dict)
    entries: MutableMapping[tuple[AccountRef, int], Entry] = field(default_factory=dict)
    recorded: MutableMapping[tuple[AccountRef, int], datetime] = field(default_factory=dict)
    reversals: MutableMapping[tuple[AccountRef, int], int] = field(default_factory=dict)
    events: MutableMapping[tuple[AccountRef, str], int] = field(default_factory=dict)
    positions: MutableMapping[AccountRef, Mapping[tuple[BookId, InstrumentId], Position]] = field(default_factory=dict)
    policies: MutableMapping[AccountRef, Mapping[InstrumentId, CollateralPolicy]] = field(default_factory=dict)
    responses: MutableMapping[tuple[str, str, str], StoredResponse] = field(default_factory=dict)
    instruments: MutableMapping[InstrumentId, Instrument] = field(default_factory=dict)
    snapshots: MutableMapping[SnapshotId, MarketSnapshot] = field(default_factory=dict)
    risk_parameters: MutableMapping[RiskParameterSetId, RiskParameters] = field(default_factory=dict)
    governance: MutableMapping[RiskParameterSetId, Governance] = field(default_factory=dict)
    activations: MutableMapping[RiskParameterSetId, Activation] = field(default_factory=dict)
    reservations: MutableMapping[tuple[AccountRef, int], Reservation] = field(default_factory=dict)
    limits: MutableMapping[tuple[ClientId, AccountId | None], ExposureLimits] = field(default_factory=dict)
    halts: MutableMapping[str, Halt] = field(default_factory=dict)
    statements: MutableMapping[str, ReconciledStatement] = field(default_factory=dict)
    pending: MutableMapping[PendingRequestId, PendingRequest] = field(default_factory=dict)
    liquidations: MutableMapping[tuple[AccountRef, PendingRequestId], Liquidation] = field(default_factory=dict)
    liquidation_steps: MutableMapping[tuple[AccountRef, PendingRequestId, int], LiquidationStep] = field(default_factory=dict)
    calls: MutableMapping[tuple[AccountRef, int], MarginCall] = field(default_factory=dict)
    call_notices: MutableMapping[tuple[AccountRef, int], CallNotice] = field(default_factory=dict)
    call_agreements: MutableMapping[tuple[ClientId, AccountId | None], CallAgreement] = field(default_factory=dict)
    break_notes: MutableMapping[tuple[str, AccountRef, InstrumentId, int], BreakNote] = field(default_factory=dict)

    def staged(self) -> Contents:
        """Return contents that read through to these and keep what is written to them apart."""
        return Contents(**{part.name: ChainMap({}, getattr(self, part.name)) for part in fields(self)})

    def take_over(self, staged: Contents) -> None:
        """Make what was written to `staged` ours, all at once."""
        for part in fields(self):
            getattr(self, part.name).update(getattr(staged, part.name).maps[0])


class MemoryDatabase:
    """Everything the adapters of one process share.

    Attributes:
        history: Levels by factor and date, and of each date by the version that brought them, oldest first.
        anchors: By number.
        epoch: Of the lead of the monitors that is the latest. margin_points: By account and number of the run.
        clock_offset: What has to be added to the machine's time to get that of this storage.
    """

    def __init__(self) -> None:
        self.contents = Contents()
        self.history: dict[FactorId, dict[date, dict[int, Decimal]]] = {}
        self.history_version = 0
        self.scenario_recipes: dict[str, ScenarioRecipe] = {}
        self.house_views: dict[HouseViewId, HouseView] = {}
        self.anchors: list[Anchor] = []
        self.audit_events: list[AuditEvent] = []
        self.breakers: dict[BreakerKind, Breaker] = {}
        self.quotes: dict[tuple[Subject, SourceId], Quote] = {}
        self.quote_sources: dict[SourceId, SourceProgress] = {}
        self.clock_offset = timedelta(0)
        self.lock = asyncio.Lock()
        self.leader: object | None = None
        self.epoch = 0
        self.margin_points: dict[AccountRef, dict[int, StoredPoint]] = {}
        self.bands: dict[AccountRef, BandState] = {}

    @property
    def is_halted(self) -> bool:
        """True while the house is halted: requests are refused, facts are booked all the same."""
        halt = self.contents.halts.get(scope_of(None))
        return halt is not None and halt.is_halted

    @is_halted.setter
    def is_halted(self, is_halted: bool) -> None:
        self.contents.halts[scope_of(None)] = Halt(None, is_halted=is_halted)

    def now(self) -> datetime:
        """Return the time of this storage."""
        return datetime.now(UTC) + self.clock_offset
