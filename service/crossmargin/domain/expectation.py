"""What a value was, and what was expected of it: how everything that checks itself refuses."""

from __future__ import annotations

from crossmargin.domain.errors import DomainError, Reason


def require_argument(claim: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001 - a claim and its sentence
    """Raise INVALID_ARGUMENT for a value that a caller gave and of which the claim does not hold."""
    if not claim:
        raise _refusal(Reason.INVALID_ARGUMENT, name, value, expected)


def require_parameter(claim: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001 - a claim and its sentence
    """Raise INVALID_RISK_PARAMETERS for a value of a parameter set of which the claim does not hold."""
    if not claim:
        raise parameter_refusal(name, value, expected)


def parameter_refusal(name: str, value: object, expected: str) -> DomainError:
    """Return the error that refuses a value of a parameter set."""
    return _refusal(Reason.INVALID_RISK_PARAMETERS, name, value, expected)


def _refusal(reason: Reason, name: str, value: object, expected: str) -> DomainError:
    return DomainError(reason, f"{name} was {value}; expected {expected}", field=name, value=value, expected=expected)
