"""Refusals that are outcomes: stored under the request's key, and told again to whoever asks with it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crossmargin.domain.errors import DomainError, Reason


def encode_refusal(error: DomainError) -> bytes:
    """Return the canonical bytes of a refusal."""
    refusal = {"reason": error.reason.code, "message": error.message, "facts": error.facts}
    return json.dumps({"refused": refusal}, sort_keys=True).encode()


def encode_outcome(outcome: Mapping[str, object]) -> bytes:
    """Return the canonical bytes of an outcome that is no refusal."""
    return json.dumps(outcome, sort_keys=True).encode()


def outcome_or_refusal(response: bytes) -> Mapping[str, Any]:
    """Return an outcome from its bytes; a refusal is raised as the error that it was."""
    document: dict[str, Any] = json.loads(response)
    refused = document.get("refused")
    if refused is not None:
        raise DomainError(Reason[refused["reason"]], refused["message"], **refused["facts"])
    return document


def sequence_or_refusal(response: bytes) -> int:
    """Return an outcome that is the number of an entry and nothing else; a refusal is raised as the error that it was."""
    document: int | dict[str, Any] = json.loads(response)
    return document if isinstance(document, int) else int(outcome_or_refusal(response)["sequence"])
