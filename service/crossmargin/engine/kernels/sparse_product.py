"""A sparse matrix times a dense one: payments times discount factors, holdings times profits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from crossmargin.engine.axes import Index


def sparse_product(*, starts: Index, columns: Index, values: NDArray[np.float64], dense: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows x states: row i adds up `values` times the rows of `dense` that `columns` names, from its start to the next."""
    weights = csr_array((values, columns, starts), shape=(len(starts) - 1, len(dense)))
    return np.asarray(weights @ dense)
