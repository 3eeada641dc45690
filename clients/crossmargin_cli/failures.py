"""How a command says that it failed, and what to do next."""

from __future__ import annotations

from typing import Final

from crossmargin_client import CrossmarginError

FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130
_NEXT_STEPS: Final = {
    "NO_MARKET_SNAPSHOT": "publish one with: crossmargin market publish FILE.csv, or look around with: crossmargin demo --serve",
    "NO_RISK_PARAMETERS": "start the service once with --embedded, which puts the shipped parameters in force",
    "INSUFFICIENT_HISTORY": "import history with: crossmargin import history FILE.csv",
    "UNKNOWN_ACCOUNT": "list what there is with: crossmargin accounts list",
    "UNKNOWN_CLIENT": "list what there is with: crossmargin clients list",
    "UNKNOWN_INSTRUMENT": "list what there is with: crossmargin instruments list",
    "FOUR_EYES_REQUIRED": "let somebody else approve or confirm; on this machine a name is given with --as NAME",
    "UNKNOWN_PENDING_REQUEST": "list what there is with: crossmargin pending list --all",
    "PENDING_REQUEST_DIFFERS": "repeat exactly what was asked for: crossmargin pending show PENDING",
    "PENDING_REQUEST_ENDED": "see what has become of it with: crossmargin pending show PENDING",
    "UNAUTHENTICATED": "show a certificate and a fresh token made for it: --profile, or --tls-ca, --tls-cert, --tls-key and --token-file",
    "PERMISSION_DENIED": "act in a role that may, with its --profile, or ask whoever grants roles and clients",
    "PLAN_OUTDATED": "plan again with: crossmargin liquidation plan ACCOUNT --out FILE",
    "LIQUIDATION_PAUSED": "see what tripped with: crossmargin market breakers",
    "UNKNOWN_STRESS_SCENARIO": "list what there is with: crossmargin stress list",
    "SERVICE_BUSY": "try again in a moment",
}


class CommandError(Exception):
    """A command cannot go on.

    Attributes:
        message: What was wrong.
        next_step: What to do about it; empty when the message says so already.
    """

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class MisuseError(CommandError):
    """A command was given words that it cannot make sense of, whatever the service says."""


def failure_lines(error: CommandError | CrossmarginError) -> list[str]:
    """Return the lines that tell a person of a failure: what, the reason with its facts, and what to do next."""
    if isinstance(error, CommandError):
        return [f"error: {error.message}", *_next_line(error.next_step)]
    facts = ", ".join(f"{name}={value}" for name, value in sorted(error.metadata.items()))
    lines = [f"error: {error.message}", f"reason: {error.reason}" + (f" ({facts})" if facts else "")]
    lines += [f"field: {violation.field}: {violation.description}" for violation in error.field_violations]
    lines += [f"note: {note}" for note in getattr(error, "__notes__", [])]
    return [*lines, *_next_line(_NEXT_STEPS.get(error.reason, ""))]


def _next_line(next_step: str) -> list[str]:
    return [f"next: {next_step}"] if next_step else []
