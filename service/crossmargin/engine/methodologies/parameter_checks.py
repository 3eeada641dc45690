"""How a methodology refuses parameters that make no sense."""

from __future__ import annotations

from crossmargin.domain.errors import DomainError, Reason


def require_parameter(claim: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001 - a claim and its sentence
    """Raise DomainError INVALID_RISK_PARAMETERS, naming the parameter, what it was and what was expected, unless the claim holds."""
    if not claim:
        raise DomainError(
            Reason.INVALID_RISK_PARAMETERS,
            f"{name} was {value}; expected {expected}",
            field=name,
            value=value,
            expected=expected,
        )
