"""Joint moves of the risk factors, with their weights: the scenarios that every account is measured against."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from crossmargin.domain.errors import DomainError
from crossmargin.domain.market import FactorId
from crossmargin.domain.risk_parameters import FactorProxy
from crossmargin.domain.worked_out_once import WorkedOutOnce
from crossmargin.engine.axes import ByScenario, ByScenarioFactor


@dataclass(frozen=True, eq=False)
class ScenarioSet(WorkedOutOnce):
    """The scenarios, along axis S: `ordinary_count` ordinary ones and then the stress events.

    Attributes:
        factors: Axis F: the factors that can be shocked.
        shocks: [S, F] log-returns for prices, FX and volatilities, differences for rates and carry.
        weights: [S] probabilities, summing to 1.
        names: Start date of an ordinary move (ISO), or name of a stress event ("reversed" added for the opposite direction).
        ordinary_count: How many of the scenarios come first and are ordinary.
        proxied: Factors whose shocks are a proxy's, with the proxy.
        unavailable: Factors that cannot be shocked, with the error that says why; only who holds them is refused.
        window_counts: How many of the stress scenarios are days of each crisis window, 0 for one outside the history; they come last.
        stand_ins: Factors without history in a crisis window: by window, what moved them there instead.
    """

    factors: tuple[FactorId, ...]
    shocks: ByScenarioFactor
    weights: ByScenario
    names: tuple[str, ...]
    ordinary_count: int
    proxied: Mapping[FactorId, FactorProxy]
    unavailable: Mapping[FactorId, DomainError]
    window_counts: Mapping[str, int] = field(default_factory=dict)
    stand_ins: Mapping[FactorId, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.factors))
        if self.shocks.shape != shape or self.weights.shape != shape[:1]:
            raise ValueError(f"shocks {self.shocks.shape} and weights {self.weights.shape} do not fit {shape}")
        if not np.isfinite(self.shocks).all() or abs(self.weights.sum() - 1.0) > 1e-12 or (self.weights < 0).any():
            raise ValueError("shocks must be finite, weights non-negative and sum to 1")

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over factors, names, shocks and weights, hexadecimal."""
        digest = hashlib.sha256("\n".join([*map(str, self.factors), "", *self.names]).encode())
        digest.update(np.ascontiguousarray(self.shocks, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(self.weights, dtype="<f8").tobytes())
        return digest.hexdigest()

    @cached_property
    def column_of(self) -> Mapping[FactorId, int]:
        """Position of each factor along axis F."""
        return {factor: column for column, factor in enumerate(self.factors)}
