"""Scenario sets with some of their scenarios only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossmargin.engine.axes import Index
from crossmargin.engine.scenarios.scenario_set import ScenarioSet


def restricted_to(scenarios: ScenarioSet, places: Index) -> ScenarioSet:
    """Return the scenarios at `places`, ascending, their weights scaled up to sum to 1.

    A tail of probability alpha that lies within `places` is a tail of alpha / (sum of their weights) of the new set, with the same mean.
    """
    weights = scenarios.weights[places]
    return replace(
        scenarios,
        shocks=scenarios.shocks[places],
        weights=weights / weights.sum(),
        names=tuple(scenarios.names[place] for place in places.tolist()),
        ordinary_count=int(np.searchsorted(places, scenarios.ordinary_count)),
    )
