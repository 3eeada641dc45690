"""Joint moves of the risk factors that every account is measured against."""

from crossmargin.engine.scenarios.build import build_scenario_set
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

__all__ = ["ScenarioSet", "build_scenario_set"]
