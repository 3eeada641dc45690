"""The risk parameters that ship with the service, so that a new installation has a methodology in force."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.risk_parameters_document import risk_parameters_from_json

STANDARD_SET: Final = "standard-1"


@cache
def standard_parameters() -> RiskParameters:
    """Return the shipped parameter set `standard-1`.

    A set is never edited once it is in use: a change is a new set under a new id, so that past results can be recomputed.
    """
    return risk_parameters_from_json(standard_parameters_document())


def standard_parameters_document() -> str:
    """Return the JSON text of the shipped set, as a starting point for a set of one's own."""
    return files("crossmargin.adapters.runtime").joinpath("parameter_sets", f"{STANDARD_SET}.json").read_text(encoding="utf-8")
