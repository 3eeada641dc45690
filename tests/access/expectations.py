"""Who may call what, written down a second time by hand, so that the policy file is held against something that it did not write.

Roles by their letters: T trader, R risk, O operations, P publisher, A auditor, D administrator. Then the fields of the request that name a
client or an account, and what a request that names nobody is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LETTERS: Final = {"T": "trader", "R": "risk", "O": "operations", "P": "publisher", "A": "auditor", "D": "administrator"}
READERS, ALL = "TROA", "TROPAD"

REFUSED_EMPTY = "refused by the field rules"
HOUSE = "the whole house"
INSIDE = "what is inside the scope"
NOBODY = "no client"


@dataclass(frozen=True)
class Expected:
    """What one RPC must do."""

    letters: str
    fields: tuple[str, ...] = ()
    unnamed: str = NOBODY
    is_of_house: bool = False

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(LETTERS[letter] for letter in self.letters)


def _of(letters: str, *fields: str, unnamed: str = "", is_of_house: bool = False) -> Expected:
    return Expected(letters, fields, unnamed or (REFUSED_EMPTY if fields else NOBODY), is_of_house)


EXPECTED: Final = {
    "AccountService/CreateClient": _of("O", "client.client_id"),
    "AccountService/GetClient": _of(READERS, "client_id"),
    "AccountService/ListClients": _of(READERS, unnamed=INSIDE),
    "AccountService/CreateAccount": _of("O", "account.name"),
    "AccountService/GetAccount": _of(READERS, "name"),
    "AccountService/ListAccounts": _of(READERS, "client_id", unnamed=INSIDE),
    "AccountService/Halt": _of("TRO", "client_id", unnamed=HOUSE),
    "AccountService/Resume": _of("R", "client_id", unnamed=HOUSE),
    "AccountService/GetHalt": _of(READERS, "client_id", unnamed=NOBODY),
    "AccountService/SetLimits": _of("R", "limits.scope"),
    "AccountService/GetLimits": _of(READERS, "scope"),
    "AccountService/SetMethodology": _of("R", "account"),
    "AuditService/ListAuditEvents": _of("RA", "client_id", unnamed=HOUSE, is_of_house=True),
    "BookService/RecordTrades": _of("TO", "account"),
    "BookService/StreamTrades": _of("TO", "record.account"),
    "BookService/CancelTrade": _of("O", "account"),
    "BookService/ListTrades": _of(READERS, "account"),
    "BookService/ApplyLifecycleEvent": _of("O", "account", unnamed=HOUSE),
    "BookService/CancelLifecycleEvent": _of("O", "account"),
    "BookService/SettleTrades": _of("O", "account", unnamed=HOUSE),
    "BookService/ListPositions": _of(READERS, "account"),
    "BookService/ListEntries": _of(READERS, "account"),
    "BookService/WatchPositions": _of(READERS, "account"),
    "BookService/ListDueEvents": _of("ROA", "account", unnamed=HOUSE),
    "BookService/GetStatement": _of(READERS, "account"),
    "CollateralService/Deposit": _of("O", "account"),
    "CollateralService/Withdraw": _of("O", "account"),
    "CollateralService/Transfer": _of("TO", "source_account", "destination_account"),
    "CollateralService/SetPolicy": _of("TO", "account"),
    "CollateralService/ListHoldings": _of(READERS, "account"),
    "CollateralService/SuggestTopUp": _of(READERS, "account"),
    "MarginCallService/ListCalls": _of(READERS, "scope", unnamed=HOUSE),
    "MarginCallService/GetCall": _of(READERS, "account"),
    "MarginCallService/AcknowledgeCall": _of("TRO", "account"),
    "MarginCallService/DisputeCall": _of("TRO", "account"),
    "MarginCallService/SettleCall": _of("RO", "account"),
    "MarginCallService/WaiveCall": _of("R", "account"),
    "MarginCallService/EscalateCall": _of("R", "account"),
    "MarginCallService/SetCallTerms": _of("R", "terms.scope"),
    "MarginCallService/GetCallTerms": _of(READERS, "account"),
    "MarginCallService/WatchCallNotices": _of(READERS, "account"),
    "MarginService/GetMargin": _of(READERS, "account"),
    "MarginService/ExplainMargin": _of(READERS, "account"),
    "MarginService/CompareMethodologies": _of(READERS, "account"),
    "MarginService/PreviewTrades": _of(READERS, "account"),
    "MarginService/StreamPreviews": _of(READERS, "preview.account"),
    "MarginService/ReserveMargin": _of("T", "account"),
    "MarginService/ReleaseReservation": _of("TRO", "account"),
    "MarginService/ListReservations": _of(READERS, "account"),
    "MarginService/WatchMargin": _of(READERS, "account"),
    "MarginService/ProjectUtilization": _of(READERS, "account"),
    "MarginService/ListMarginHistory": _of(READERS, "account"),
    # A stamp without an account is no stamp; whether the house's is meant cannot be told, so a scoped caller is refused.
    "MarginService/ReproduceMargin": _of(READERS, "stamp.account", "margin.stamp.account", unnamed=HOUSE),
    "MarketService/PublishQuotes": _of("P"),
    "MarketService/PublishSnapshot": _of("P"),
    "MarketService/GetSnapshot": _of("TROPA"),
    "MarketService/ImportHistory": _of("PR"),
    "MarketService/GetBreakers": _of("ROA", unnamed=HOUSE),
    "MarketService/ResetBreaker": _of("R", unnamed=HOUSE),
    "PendingRequestService/ListPendingRequests": _of("ROA", "client_id", unnamed=INSIDE),
    "PendingRequestService/GetPendingRequest": _of("ROA", unnamed=INSIDE),
    "PendingRequestService/CancelPendingRequest": _of("RO", unnamed=INSIDE),
    "ReconciliationService/ReconcileStatement": _of("O", "lines.account", "accounts", unnamed=HOUSE),
    "ReconciliationService/ListBreaks": _of("ROA", "account", unnamed=INSIDE),
    "ReconciliationService/ExplainBreak": _of("O", "account"),
    "ReconciliationService/CloseBreak": _of("O", "account"),
    "ReferenceService/CreateInstrument": _of("O"),
    "ReferenceService/GetInstrument": _of(ALL),
    "ReferenceService/ListInstruments": _of(ALL),
    "ReferenceService/GetRiskParameters": _of("TROAD"),
    "ReferenceService/ListRiskParameters": _of("TROAD"),
    "ReferenceService/ProposeRiskParameters": _of("R", unnamed=HOUSE),
    "ReferenceService/ApproveRiskParameters": _of("R", unnamed=HOUSE),
    "ReferenceService/ActivateRiskParameters": _of("R", unnamed=HOUSE),
    "ReferenceService/ShadowRiskParameters": _of("R", unnamed=HOUSE),
    "RiskService/RunBacktest": _of("RA", "account", unnamed=NOBODY),
    "RiskService/ListStressScenarios": _of("TROA"),
    "RiskService/RunStress": _of("RA", "account", unnamed=HOUSE),
    "RiskService/AdviseMarginMode": _of("TROA", "account"),
    "RiskService/PlanLiquidation": _of("ROA", "account"),
    "RiskService/ReproduceLiquidation": _of("ROA", "plan.account", unnamed=HOUSE),
    "RiskService/ApproveLiquidation": _of("R", "account"),
    "RiskService/ReportLiquidation": _of("RO", "account"),
    "RiskService/AbandonLiquidation": _of("RO", "account"),
    "RiskService/GetLiquidation": _of("ROA", "account"),
    "RiskService/ListLiquidations": _of("ROA", "scope", unnamed=HOUSE),
    "RiskService/SimulateCascade": _of("RA", unnamed=HOUSE),
    "RiskService/ReverseStress": _of("RA", "account", unnamed=HOUSE),
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _of(ALL),
}
OPEN_TO_ANYONE: Final = frozenset({"grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"})
"""Answered without a token: load balancers ask."""
