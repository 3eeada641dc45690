"""How risk parameters come into force: proposed by one person, approved by another, active from a time, at once or by degrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, unique
from typing import Final

from crossmargin.domain.book import check_aware
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.money import EXACT
from crossmargin.domain.risk_parameters import RiskParameters

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
"""Since when the first set of an installation is in force: for every market there can be."""
LONGEST_RAMP_DAYS: Final = 365
_FRACTION_UNIT: Final = Decimal("1e-12")
_DAY: Final = timedelta(days=1)


@unique
class ParameterState(Enum):
    """How far a set has come. Only the verbs change it, and only forwards."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    """A second person has agreed; it may be activated."""
    ACTIVE = "active"
    """It has a time from which it is in force."""
    RETIRED = "retired"
    """A set was activated over it: it is in force only for markets before that set's time, and in part through that set's ramp."""


@dataclass(frozen=True, slots=True)
class Activation:
    """From when a set is in force, and over how many days it takes over from the one before; 0 for at once."""

    set_id: RiskParameterSetId
    active_from: datetime
    ramp_days: int

    @property
    def ramp_end(self) -> datetime:
        """The moment from which this set counts in full."""
        return self.active_from + self.ramp_days * _DAY

    def fraction_at(self, moment: datetime) -> Decimal:
        """Return the share of this set at a moment not before `active_from`: 0 to 1, to 12 places."""
        if moment >= self.ramp_end:
            return Decimal(1)
        part = EXACT.divide(_microseconds(moment - self.active_from), _microseconds(self.ramp_days * _DAY))
        return part.quantize(_FRACTION_UNIT, context=EXACT)


@dataclass(frozen=True, slots=True)
class InForce:
    """The set in force at a moment.

    Attributes:
        previous: The set before, while this one takes over from it by degrees; otherwise None.
        fraction: Share of this set's result; 1 without a ramp.
    """

    set_id: RiskParameterSetId
    previous: RiskParameterSetId | None
    fraction: Decimal


@dataclass(frozen=True, slots=True)
class Governance:
    """Who brought a set of risk parameters where it is, and when.

    Attributes:
        active_from: Time of the first market it is in force for; None until it is activated.
        ramp_days: Days over which it takes over from the set before; 0 for at once.
    """

    set_id: RiskParameterSetId
    content_hash: str
    state: ParameterState
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    activated_by: str | None = None
    activated_at: datetime | None = None
    active_from: datetime | None = None
    ramp_days: int = 0

    @property
    def activation(self) -> Activation | None:
        """From when it is in force; None until it is activated."""
        return None if self.active_from is None else Activation(self.set_id, self.active_from, self.ramp_days)

    def approve(self, by: str, at: datetime) -> Governance:
        """Return the approved set.

        Raises:
            DomainError: FOUR_EYES_REQUIRED when `by` is who proposed it; WRONG_PARAMETER_STATE unless it is PROPOSED.
        """
        self._check_state(ParameterState.PROPOSED, "approved")
        if by == self.proposed_by:
            raise DomainError(
                Reason.FOUR_EYES_REQUIRED,
                f"risk parameters {self.set_id} were proposed by {by}, who cannot approve them too; expected somebody else",
                parameter_set=self.set_id,
                proposed_by=self.proposed_by,
                principal=by,
            )
        return replace(self, state=ParameterState.APPROVED, approved_by=by, approved_at=at)

    def activate(self, by: str, at: datetime, *, active_from: datetime, ramp_days: int) -> Governance:
        """Return the set with a time; WRONG_PARAMETER_STATE unless it is APPROVED, INVALID_ARGUMENT for a ramp beyond a year."""
        self._check_state(ParameterState.APPROVED, "activated")
        check_aware(active_from, what="active_from")
        if not 0 <= ramp_days <= LONGEST_RAMP_DAYS:
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"ramp_days was {ramp_days}; expected 0 to {LONGEST_RAMP_DAYS}",
                field="ramp_days",
                value=ramp_days,
            )
        return replace(self, state=ParameterState.ACTIVE, activated_by=by, activated_at=at, active_from=active_from, ramp_days=ramp_days)

    def _check_state(self, expected: ParameterState, participle: str) -> None:
        if self.state is not expected:
            raise DomainError(
                Reason.WRONG_PARAMETER_STATE,
                f"risk parameters {self.set_id} are {self.state.value}; only {expected.value} ones can be {participle}",
                parameter_set=self.set_id,
                state=self.state.value,
                expected=expected.value,
            )


@dataclass(frozen=True, slots=True)
class GovernedParameters:
    """A set of risk parameters with where it stands."""

    parameters: RiskParameters
    governance: Governance


@dataclass(frozen=True, slots=True)
class GovernanceChange:
    """One step of a set, to be stored only if nobody took one meanwhile.

    Attributes:
        retires: Sets that are RETIRED by it.
        activation_count: How many sets had been activated when the step was decided.
    """

    before: Governance
    after: Governance
    retires: tuple[RiskParameterSetId, ...]
    activation_count: int


def propose(parameters: RiskParameters, by: str, at: datetime) -> GovernedParameters:
    """Return a set as proposed by somebody."""
    governance = Governance(parameters.set_id, parameters.content_hash, ParameterState.PROPOSED, proposed_by=by, proposed_at=at)
    return GovernedParameters(parameters, governance)


def put_in_force(parameters: RiskParameters, by: str, at: datetime) -> GovernedParameters:
    """Return the first set of an installation: active for every market, by nobody's approval but the installation's own."""
    proposed = propose(parameters, by, at).governance
    return GovernedParameters(
        parameters, replace(proposed, state=ParameterState.ACTIVE, activated_by=by, activated_at=at, active_from=BEGINNING)
    )


def in_force(activations: Sequence[Activation], moment: datetime) -> InForce | None:
    """Return the set in force for a market of a moment; None when there is none.

    `activations` are in the order of their times, and those of one time in the order of their activation: the last one counts.
    """
    begun = [activation for activation in activations if activation.active_from <= moment]
    if not begun:
        return None
    fraction = begun[-1].fraction_at(moment)
    previous = begun[-2].set_id if len(begun) > 1 and fraction < 1 else None
    return InForce(begun[-1].set_id, previous, fraction if previous is not None else Decimal(1))


def check_schedule(activations: Sequence[Activation], new: Activation, *, latest_market: datetime | None) -> None:
    """Return if a new activation may join the others.

    Raises:
        DomainError: ACTIVATION_IN_PAST when it would change the parameters of markets before the latest one; RAMP_UNDER_WAY when it
            would begin to ramp during another's ramp, or another's would begin during its own: a ramp leads from one set in full.
    """
    if latest_market is not None and new.active_from < latest_market:
        raise DomainError(
            Reason.ACTIVATION_IN_PAST,
            f"active_from was {new.active_from.isoformat()}; expected no earlier than the latest market, {latest_market.isoformat()}, "
            "because margin was computed at the markets before",
            value=new.active_from.isoformat(),
            expected=latest_market.isoformat(),
        )
    for other in activations:
        first, second = (other, new) if other.active_from <= new.active_from else (new, other)
        if second.ramp_days and second.active_from < first.ramp_end:
            raise DomainError(
                Reason.RAMP_UNDER_WAY,
                f"the ramp of {second.set_id} would begin at {second.active_from.isoformat()}, during that of {first.set_id}, which ends "
                f"at {first.ramp_end.isoformat()}; begin after it, or activate without a ramp",
                parameter_set=first.set_id,
                ramp_end=first.ramp_end.isoformat(),
            )


def retired_by(activations: Sequence[Activation], new: Activation) -> tuple[RiskParameterSetId, ...]:
    """Return the sets that a new activation takes over from: those that begin no later."""
    return tuple(other.set_id for other in activations if other.active_from <= new.active_from)


def _microseconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1))
