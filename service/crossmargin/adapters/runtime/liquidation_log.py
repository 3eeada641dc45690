"""Liquidations in the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from crossmargin.domain.liquidation_life import FillFlag, LiquidationStep, LiquidationStepKind
from crossmargin.usecases.ports.liquidation import LiquidationReports, OpenLiquidation

log = structlog.get_logger()
_ALARMING: Final = frozenset({LiquidationStepKind.EXPIRED, LiquidationStepKind.UNREPORTED})
_TOO_MUCH: Final = frozenset({FillFlag.OVERFILLED, FillFlag.TURNED_OVER})


class LiquidationLog:
    """Logs every step of a liquidation, and passes it on to where it is counted."""

    def __init__(self, then: LiquidationReports) -> None:
        self._then = then

    def liquidation_stepped(self, step: LiquidationStep) -> None:
        """Log a step; one that somebody has to see to as a warning."""
        # Who and why is in the step itself: words of people have no place in a log.
        account, kind, state = str(step.account), step.kind.value, step.state.value
        if step.kind in _ALARMING or (step.fill is not None and step.fill.flags & _TOO_MUCH):
            log.warning("liquidation", step=kind, account=account, liquidation=step.liquidation_id, state=state)
        else:
            log.info("liquidation", step=kind, account=account, liquidation=step.liquidation_id, state=state)
        self._then.liquidation_stepped(step)

    def liquidations_seen(self, found: Sequence[OpenLiquidation]) -> None:
        """Log nothing: that nothing has changed is no news."""
        self._then.liquidations_seen(found)

    def withdraw_liquidations(self) -> None:
        """Log nothing."""
        self._then.withdraw_liquidations()
