"""Margin results as a house run finds them; everything unsaid has a small, valid default."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.margin import Band, CollateralLine, EquityBridge, MarginResult, MarginStamp, RequirementBridge

AS_OF = datetime(2026, 3, 2, 12, tzinfo=UTC)


def an_account(client: str = "alpha", account: str = "core") -> AccountRef:
    return AccountRef(ClientId(client), AccountId(account))


def a_result(
    ref: AccountRef | None = None,
    *,
    utilization: str | None = "0.5",
    band: Band = Band.HEALTHY,
    equity: str = "1000",
    gross: str = "800",
    market_requirement: str = "500",
    initial_margin: str = "625",
    haircuts: tuple[str, ...] = ("20", "5"),
    as_of: datetime = AS_OF,
) -> MarginResult:
    """A result whose parts need not follow from one another: the metrics must read each from its own place."""
    return MarginResult(
        stamp=MarginStamp(
            account=ref or an_account(),
            sequence=1,
            snapshot_id=SnapshotId("0" * 32),
            as_of=as_of,
            parameter_set_id=RiskParameterSetId("test-1"),
            parameters_hash="",
            scenario_set_hash="",
            engine_version="",
        ),
        equity=EquityBridge(
            collateral=Decimal(equity),
            liabilities=Decimal(0),
            contract_value=Decimal(0),
            equity=Decimal(equity),
            lines=tuple(_line(haircut) for haircut in haircuts),
        ),
        requirement=RequirementBridge(
            gross=Decimal(gross),
            netting_inside_groups=Decimal(gross) - Decimal(market_requirement),
            netting_inside_classes=Decimal(0),
            netting_across_classes=Decimal(0),
            market_requirement=Decimal(market_requirement),
            charges=(),
            maintenance_margin=Decimal(market_requirement),
            initial_margin=Decimal(initial_margin),
        ),
        utilization=None if utilization is None else Decimal(utilization),
        band=band,
        groups=(),
        contributions=(),
        worst_scenarios=(),
    )


def _line(haircut: str) -> CollateralLine:
    value = Decimal(100)
    return CollateralLine(
        instrument_id=InstrumentId("BTC"),
        policy=CollateralPolicy.RISKED,
        quantity=Decimal(1),
        market_value=value,
        haircut=Decimal(haircut),
        over_limit=Decimal(0),
        value_in_equity=value - Decimal(haircut),
        risked=value,
        pledged=Decimal(0),
    )
